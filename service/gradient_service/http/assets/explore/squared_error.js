// Squared error beside cross-entropy: simple in the probabilities, and what the Jacobian makes of either.

import { classNames, comparison } from "./comparison.js";
import { labelOf, oneHot, rowFields, rowOf } from "./fields.js";
import { say } from "./elements.js";
import { written } from "./numbers.js";

const INCLUDE = ["loss", "gradient", "probabilities", "loss_wrt_probabilities", "jacobian"];

export async function squaredError(section, state, ask) {
  const reply = await ask("gradient", rowFields(state, INCLUDE, "softmax_cross_entropy"));
  const targets = oneHot(labelOf(state), rowOf(state).length);
  const squared = squaredErrorOf(reply, targets, state.temperature);
  const columns = [...classNames(targets.length), "E"];
  const lines = [
    { name: "p", by: "the service", values: reply.probabilities[0] },
    { name: "c", by: "the label", values: targets.map(String) },
    { name: "∂E/∂p, squared error", by: "this page", values: [...squared.outer, squared.loss] },
    { name: "∂E/∂p, cross-entropy", by: "the service", values: [...reply.loss_wrt_probabilities[0], reply.loss] },
    { name: "∂E/∂z, squared error", by: "this page", values: squared.gradient },
    { name: "∂E/∂z, cross-entropy", by: "the service", values: reply.gradient[0], mark: "ours" },
  ];
  const caption = `Both errors of row ${state.row}`;
  section.querySelector(".results").replaceChildren(comparison(caption, columns, lines, state.digits));
  say(section.querySelector(".said"), sentence(squared.gradient, reply.gradient[0], state));
}

function squaredErrorOf({ probabilities: [p], jacobian: [jacobian] }, targets, temperature) {
  const outer = p.map((value, j) => value - targets[j]);
  const gradient = p.map((_, i) => outer.reduce((sum, value, j) => sum + value * jacobian[j][i], 0) / temperature);
  return { outer, gradient, loss: outer.reduce((sum, value) => sum + value ** 2, 0) / 2 };
}

function sentence(squared, crossEntropy, state) {
  const label = labelOf(state);
  const show = (value) => written(value, state.digits);
  const pulls = `${show(squared[label])} by squared error, ${show(crossEntropy[label])} by cross-entropy`;
  return `Pull on the score of the true class ${label}: ${pulls}.`;
}
