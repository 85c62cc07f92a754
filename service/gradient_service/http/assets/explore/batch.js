// The batch: scores and labels to change, and below each score what the service makes of it.

import { batchFields } from "./fields.js";
import { element, say } from "./elements.js";
import { written } from "./numbers.js";

const LINES = {
  probabilities: "probability p",
  one_hot: "decision",
  targets: "label c",
  gradient: "gradient ∂E/∂z",
};

// Builds the table for the shape of the scores; `edited` hears of each change of a score, a label or the row.
export function buildEditor(table, state, edited) {
  const head = state.scores[0].map((_, j) => element("th", { scope: "col" }, `class ${j}`));
  table.tHead.replaceChildren(element("tr", {}, element("td"), ...head));
  for (const body of [...table.tBodies]) body.remove();
  table.tFoot.before(...state.scores.map((_, n) => rowBody(state, n, edited)));
  table.tFoot.rows[0].cells[1].colSpan = head.length;
}

// Puts numbers of the state into the inputs, where a gradient step or an address changed them.
export function fillEditor(table, state) {
  for (const input of table.querySelectorAll("[data-score]")) {
    const [n, j] = input.dataset.score.split(" ");
    input.value = state.scores[n][j];
  }
  for (const choice of table.querySelectorAll("select")) choice.value = state.labels[choice.dataset.row];
  for (const choice of table.querySelectorAll("[type=radio]")) choice.checked = Number(choice.value) === state.row;
}

function rowBody(state, n, edited) {
  const scores = state.scores[n].map((_, j) => element("td", {}, ...scoreInputs(state, n, j, edited)));
  const results = Object.entries(LINES).map(([name, text]) => {
    const cells = state.scores[n].map((_, j) => element("td", { "data-cell": `${name} ${n} ${j}` }));
    return element("tr", { class: name }, element("th", { scope: "row" }, text), ...cells);
  });
  return element(
    "tbody",
    {},
    element("tr", { class: "row-head" }, rowHead(state, n, edited)),
    element("tr", { class: "scores" }, element("th", { scope: "row" }, "score z"), ...scores),
    ...results,
  );
}

function rowHead(state, n, edited) {
  const chosen = element("input", { type: "radio", name: "row", value: n });
  chosen.addEventListener("change", () => edited(() => (state.row = n)));
  const labels = state.scores[n].map((_, j) => element("option", { value: j }, `class ${j}`));
  const label = element("select", { "data-row": n }, ...labels);
  label.addEventListener("change", () => edited(() => (state.labels[n] = Number(label.value))));
  return element(
    "th",
    { scope: "rowgroup", colspan: state.scores[0].length + 1 },
    element("label", {}, chosen, ` row ${n} `),
    element("label", {}, "true class ", label),
    element("span", { class: "loss" }, "loss ", element("output", { "data-cell": `losses ${n}` })),
  );
}

// A number to type and a bar to drag: two controls of one score.
function scoreInputs(state, n, j, edited) {
  const attributes = { step: "any", "data-score": `${n} ${j}` };
  const name = `score of class ${j} in row ${n}`;
  const typed = element("input", { ...attributes, type: "number", "aria-label": name });
  const dragged = element("input", {
    ...attributes, type: "range", min: -10, max: 10, step: 0.1, "aria-label": `${name}, as a bar`,
  });
  for (const [input, other] of [[typed, dragged], [dragged, typed]]) {
    input.addEventListener("input", () => {
      const value = input.value === "" ? NaN : Number(input.value);
      typed.setAttribute("aria-invalid", Number.isNaN(value));
      if (!Number.isNaN(value)) other.value = value;
      edited(() => (state.scores[n][j] = value));
    });
  }
  return [typed, dragged];
}

export async function batch(section, state, ask) {
  const include = ["loss", "losses", "probabilities", "gradient", "summary"];
  const { scores: logits, temperature, dtype } = state;
  const [reply, decision] = await Promise.all([
    ask("gradient", batchFields(state, include)),
    ask("softmax", { logits, temperature, dtype, include: ["one_hot"] }),
  ]);
  const targets = logits.map((row, n) => row.map((_, j) => (j === state.labels[n] ? 1 : 0)));
  const tables = { ...reply, one_hot: decision.one_hot, targets };
  for (const cell of section.querySelectorAll("[data-cell]")) fillCell(cell, tables, state.digits);
  say(section.querySelector("[data-total]"), written(reply.loss, state.digits));
  say(section.querySelector(".said"), sentence(reply, state));
}

function fillCell(cell, tables, digits) {
  const [name, n, j] = cell.dataset.cell.split(" ");
  const value = j === undefined ? tables[name][n] : tables[name][n][j];
  const isWhole = name === "one_hot" || name === "targets";
  say(cell, isWhole ? String(value) : written(value, digits));
  cell.classList.toggle("on", isWhole && value === 1);
  cell.classList.toggle("negative", value < 0);
  cell.style.setProperty("--size", Math.min(1, Math.abs(value)));
}

function sentence(reply, { labels, digits, row }) {
  const loss = `Loss ${written(reply.loss, digits)}; row ${row} alone ${written(reply.losses[row], digits)}.`;
  const { denominator_value: divisor } = reply.applied;
  const mean = divisor === undefined ? "" : ` The mean divides it, and the gradient, by ${written(divisor, digits)}.`;
  return `${loss} The service counts ${reply.summary.correct_count} of ${labels.length} rows as right.${mean}`;
}
