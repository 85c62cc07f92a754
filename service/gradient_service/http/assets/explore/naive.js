// Softmax as a program would write it first, in this browser, beside the service's: until it overflows.

import { classNames, comparison } from "./comparison.js";
import { labelOf, rowOf } from "./fields.js";
import { say } from "./elements.js";

const PRECISIONS = { float32: Math.fround, float64: (value) => value };
const OBJECTIVE = "softmax_cross_entropy";

export async function naive(section, state, ask) {
  const scores = rowOf(state).map((score) => score + state.offset);
  const label = labelOf(state);
  const { temperature } = state;
  const lines = [];
  for (const [way, softmax] of Object.entries({ naive: naiveSoftmax, shifted: shiftedSoftmax })) {
    for (const [dtype, rounded] of Object.entries(PRECISIONS)) {
      const divided = scores.map((score) => rounded(rounded(score) / temperature));
      lines.push(lineOf(`${way}, ${dtype}`, softmax(divided, rounded), label, rounded));
    }
  }
  const include = ["probabilities", "loss"];
  const fields = { logits: [scores], labels: [label], objective: OBJECTIVE, temperature, reduction: "sum", include };
  const replies = await Promise.all(Object.keys(PRECISIONS).map((dtype) => ask("gradient", { ...fields, dtype })));
  Object.keys(PRECISIONS).forEach((dtype, index) => {
    const { probabilities, loss } = replies[index];
    lines.push({ name: dtype, by: "the service", values: [...probabilities[0], loss], mark: "ours" });
  });
  const columns = [...classNames(scores.length).map((name) => `p, ${name}`), "loss"];
  const caption = `Probabilities and loss at scores ${scores.join(", ")}`;
  section.querySelector(".results").replaceChildren(comparison(caption, columns, lines, state.digits));
  say(section.querySelector(".said"), sentence(lines));
}

// Every number is rounded to the precision as soon as it is made, as a program in that precision does.
function naiveSoftmax(scores, rounded) {
  const powers = scores.map((score) => rounded(Math.exp(score)));
  const total = powers.reduce((sum, power) => rounded(sum + power), 0);
  return powers.map((power) => rounded(power / total));
}

function shiftedSoftmax(scores, rounded) {
  const largest = Math.max(...scores);
  return naiveSoftmax(scores.map((score) => rounded(score - largest)), rounded);
}

function lineOf(name, probabilities, label, rounded) {
  const loss = rounded(-Math.log(probabilities[label]));
  return { name, by: "this page", values: [...probabilities, loss === 0 ? 0 : loss] };
}

function sentence(lines) {
  const broken = lines.filter(({ values }) => !values.every(Number.isFinite)).map(({ name }) => name);
  const zero = lines.filter(({ values }) => values.at(-1) === 0).map(({ name }) => name);
  const lost = zero.length ? ` Loss 0, every digit lost: ${zero.join("; ")}.` : "";
  return (broken.length ? `No longer numbers: ${broken.join("; ")}.` : "All lines are numbers.") + lost;
}
