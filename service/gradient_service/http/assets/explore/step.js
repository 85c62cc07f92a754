// One step against the gradient, and the loss before and after it.

import { classNames, comparison } from "./comparison.js";
import { comparedFields, labelOf, rowFields, rowOf } from "./fields.js";
import { say } from "./elements.js";
import { written } from "./numbers.js";

const DIGITS = 12; // of the new scores: so few that a step of length 0 changes none that a person types

export async function gradientStep(section, state, ask) {
  const before = await ask("gradient", rowFields(state, ["loss", "gradient"]));
  const scores = rowOf(state).map((score, j) => Number((score - state.rate * before.gradient[0][j]).toPrecision(DIGITS)));
  const fields = { ...comparedFields([scores], [labelOf(state)], state), reduction: "sum", include: ["loss"] };
  const after = await ask("loss", fields);
  const lines = [
    { name: "scores before", by: "you", values: [...rowOf(state), before.loss] },
    { name: "∂E/∂z", by: "the service", values: before.gradient[0] },
    { name: "scores after", by: "this page", values: [...scores, after.loss], mark: "ours" },
  ];
  const columns = [...classNames(scores.length), "loss, by the service"];
  const table = comparison(`One step of row ${state.row}`, columns, lines, state.digits);
  section.querySelector(".results").replaceChildren(table);
  offerStep(section.querySelector("#take-step"), scores);
  say(section.querySelector(".said"), sentence(before.loss, after.loss, state.digits));
}

// The scores that a press of the button would take; none while the numbers are not those of the state.
export function offerStep(button, scores = null) {
  button.dataset.scores = JSON.stringify(scores);
  button.ariaDisabled = String(scores === null);
}

export function takeStep(button, state) {
  const scores = JSON.parse(button.dataset.scores ?? "null");
  if (scores) state.scores[state.row] = scores;
}

function sentence(before, after, digits) {
  const way = after < before ? "falls" : after > before ? "rises: the step is too long" : "stays";
  return `Loss before ${written(before, digits)}, after ${written(after, digits)}: it ${way}.`;
}
