// The diagonal-only shortcut beside the whole derivative, for both objectives over softmax.

import { classNames, comparison } from "./comparison.js";
import { rowFields, rowOf } from "./fields.js";
import { say } from "./elements.js";

const NAMES = {
  softmax_cross_entropy: "softmax + cross-entropy",
  softmax_binary_cross_entropy: "softmax + binary sum",
};
const INCLUDE = ["loss", "gradient", "gradient_by_chain_rule", "gradient_diagonal_only"];

export async function shortcut(section, state, ask) {
  const replies = await Promise.all(
    Object.keys(NAMES).map((objective) => ask("gradient", rowFields(state, INCLUDE, objective))),
  );
  const binary = rowFields(state, [], "softmax_binary_cross_entropy");
  const { include: _, ...claim } = binary;
  const report = await ask("check", { ...claim, claimed: { gradient: replies[1].gradient_diagonal_only } });
  const tables = Object.values(NAMES).map((name, index) => tableOf(name, replies[index], state));
  section.querySelector(".results").replaceChildren(...tables);
  const isWhole = agreement(replies[1]).every((isSame) => isSame);
  say(section.querySelector(".said"), verdict(report, isWhole));
}

function tableOf(name, reply, state) {
  const shown = ["gradient", "gradient_by_chain_rule", "gradient_diagonal_only"].map((output) => reply[output][0]);
  const lines = ["∂E/∂z", "by the whole Jacobian", "by its diagonal only"].map((line, index) => ({
    name: line, by: "the service", values: shown[index],
  }));
  const marks = agreement(reply).map((isSame) => (isSame ? "= same" : "≠ differs"));
  lines.push({ name: "diagonal against whole", by: "this page", values: marks, mark: "verdict" });
  return comparison(name, classNames(rowOf(state).length), lines, state.digits);
}

// For each class, whether the diagonal alone has the whole derivative.
function agreement({ gradient: [whole], gradient_diagonal_only: [diagonal] }) {
  return whole.map((value, j) => isClose(value, diagonal[j]));
}

// Beyond the roundings of either way to multiply the factors.
function isClose(value, other) {
  return Math.abs(value - other) <= 1e-6 * Math.max(Math.abs(value), Math.abs(other));
}

function verdict({ verdict: word, diagnoses }, isWhole) {
  const claim = `Claimed to be the gradient of the binary sum, the diagonal's value is a ${word} for POST /check`;
  if (word === "match" && isWhole) return `${claim}: here the rest of the Jacobian adds nothing.`;
  const reasons = diagnoses.map(({ code, explanation }) => `${code}, ${explanation}`).join(" ");
  if (word === "match") return `${claim}: what is left out is smaller than its tolerance. ${reasons}`;
  return `${claim}, which says why. ${reasons}`;
}
