// The fields that requests share, read off the state.

export function rowOf(state) {
  return state.scores[state.row];
}

export function labelOf(state) {
  return state.labels[state.row];
}

export function oneHot(label, count) {
  return Array.from({ length: count }, (_, j) => (j === label ? 1 : 0));
}

// The whole batch. The sigmoid objective knows no labels: its classes are independent, and each has a target.
export function batchFields(state, include) {
  return { ...comparedFields(state.scores, state.labels, state), reduction: state.reduction, include };
}

// The chosen row alone, whose loss is then its own.
export function rowFields(state, include, objective = state.objective) {
  const compared = comparedFields([rowOf(state)], [labelOf(state)], { ...state, objective });
  return { ...compared, reduction: "sum", include };
}

export function comparedFields(logits, labels, { objective, temperature, dtype }) {
  const isSigmoid = objective === "sigmoid_binary_cross_entropy";
  const compared = isSigmoid ? { targets: labels.map((label, n) => oneHot(label, logits[n].length)) } : { labels };
  return { logits, ...compared, objective, temperature, dtype };
}
