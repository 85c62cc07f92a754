// The derivative held against difference quotients of the loss, for steps from 1 down to 1e-15.

import { titleOf } from "./comparison.js";
import { comparedFields, labelOf, rowFields, rowOf } from "./fields.js";
import { element, say } from "./elements.js";
import { roughly, written } from "./numbers.js";
import { plot } from "./plot.js";

const EXPONENTS = Array.from({ length: 31 }, (_, index) => -index / 2);

export async function finiteDifferences(section, state, ask) {
  const steps = EXPONENTS.map((exponent) => 10 ** exponent);
  const logits = steps.flatMap((step) => [moved(state, step), moved(state, -step)]);
  const labels = logits.map(() => labelOf(state));
  const losses = { ...comparedFields(logits, labels, state), reduction: "none", include: ["losses"] };
  const [reply, exact] = await Promise.all([ask("loss", losses), ask("gradient", rowFields(state, ["gradient"]))]);
  const derivative = exact.gradient[0][state.class];
  const points = steps.map((step, index) => pointOf(step, reply.losses.slice(2 * index, 2 * index + 2), derivative));
  const chosen = points[Math.round(-2 * state.step)];
  section.querySelector(".results").replaceChildren(plot(points, chosen), tableOf(chosen, derivative, state.digits));
  say(section.querySelector(".said"), sentence(points, chosen));
}

function moved(state, step) {
  return rowOf(state).map((score, j) => (j === state.class ? score + step : score));
}

function pointOf(step, [above, below], derivative) {
  const quotient = (above - below) / (2 * step);
  return { step, above, below, quotient, error: Math.abs(quotient - derivative) };
}

function tableOf({ step, above, below, quotient, error }, derivative, digits) {
  const lines = [
    ["step h", "you", step],
    ["loss at z + h", "the service", above],
    ["loss at z − h", "the service", below],
    ["their difference over 2h", "this page", quotient],
    ["∂E/∂z", "the service", derivative],
    ["off by", "this page", error],
  ];
  const rows = lines.map(([name, by, value]) => {
    const shown = name === "step h" ? roughly(value) : written(value, digits);
    return element("tr", {}, titleOf(name, by), element("td", {}, shown));
  });
  const caption = element("caption", {}, "At the chosen step");
  return element("table", { class: "comparison" }, caption, element("tbody", {}, ...rows));
}

function sentence(points, chosen) {
  const best = points.reduce((least, point) => (point.error < least.error ? point : least));
  const at = `At h = ${roughly(chosen.step)} the quotient is off by ${roughly(chosen.error)}.`;
  const least = `The least error, ${roughly(best.error)}, is at h = ${roughly(best.step)}`;
  return `${at} ${least}: larger steps cut the curve, smaller ones lose digits.`;
}
