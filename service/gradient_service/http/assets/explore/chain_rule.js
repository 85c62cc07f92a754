// The chain rule as three matrices, in which a cell under the pointer or the focus lights what makes it.

import { rowFields, rowOf } from "./fields.js";
import { element, say } from "./elements.js";
import { cellAt, matrix } from "./matrix.js";
import { written } from "./numbers.js";

const INCLUDE = ["loss_wrt_probabilities", "jacobian", "gradient_by_chain_rule", "gradient"];

export async function chainRule(section, state, ask) {
  const reply = await ask("gradient", rowFields(state, INCLUDE));
  const numbers = {
    outer: reply.loss_wrt_probabilities[0],
    jacobian: reply.jacobian[0],
    product: reply.gradient_by_chain_rule[0],
  };
  const tables = matricesOf(numbers, rowOf(state).length, state.digits);
  const light = (table, event) => lightTerms(section, tables, numbers, place(tables, table, event), state);
  for (const table of Object.values(tables)) {
    table.addEventListener("mouseover", (event) => light(table, event));
    table.addEventListener("focusin", (event) => light(table, event));
  }
  const symbol = (text) => element("span", { class: "symbol", "aria-hidden": "true" }, text);
  const { outer, jacobian, product } = tables;
  const equals = state.temperature === 1 ? "=" : "/ T =";
  section.querySelector(".product").replaceChildren(outer, symbol("·"), jacobian, symbol(equals), product);
  lightTerms(section, tables, numbers, { by: null, score: 0 }, state);
  say(section.querySelector("[data-fused]"), reply.gradient[0].map((value) => written(value, state.digits)).join(", "));
}

function matricesOf({ outer, jacobian, product }, count, digits) {
  const names = (letter) => Array.from({ length: count }, (_, j) => indexed(letter, j));
  return {
    outer: matrix({ caption: "∂E/∂p", rows: [outer], columnNames: names("p"), digits }),
    jacobian: matrix({
      caption: "Jacobian ∂p/∂s", rows: jacobian, rowNames: names("p"), columnNames: names("s"), digits,
    }),
    product: matrix({ caption: "product ∂E/∂z", rows: [product], columnNames: names("z"), digits }),
  };
}

// Where an event is: which score's derivative is meant, and by way of which probability; null stands for all of them.
function place(tables, table, event) {
  const cell = event.target.closest("[data-j]");
  if (!cell) return null;
  const [i, j] = [Number(cell.dataset.i), Number(cell.dataset.j)];
  if (table === tables.outer) return { by: j, score: null };
  return table === tables.jacobian ? { by: i, score: j } : { by: null, score: j };
}

function lightTerms(section, tables, numbers, spot, state) {
  if (!spot) return;
  dim(tables);
  const count = numbers.outer.length;
  const all = [...Array(count).keys()];
  const ways = spot.by === null ? all : [spot.by];
  const scores = spot.score === null ? all : [spot.score];
  for (const way of ways) {
    cellAt(tables.outer, 0, way).classList.add("lit");
    for (const score of scores) cellAt(tables.jacobian, way, score).classList.add("lit");
  }
  for (const score of scores) cellAt(tables.product, 0, score).classList.add("lit");
  say(section.querySelector(".said"), sentence(numbers, spot, state));
}

function dim(tables) {
  for (const table of Object.values(tables)) {
    for (const cell of table.querySelectorAll(".lit")) cell.classList.remove("lit");
  }
}

function sentence({ outer, jacobian, product }, { by, score }, { temperature, digits }) {
  const show = (value) => written(value, digits);
  const term = (way) => `(${show(outer[way])}) × (${show(jacobian[way][score])})`;
  const divided = (sum) => (temperature === 1 ? sum : `[${sum}] / ${show(temperature)}`);
  const [p, z] = [indexed("p", by), indexed("z", score)];
  if (score === null) return `∂E/∂${p} = ${show(outer[by])} is a factor of each ∂E/∂z, times a number of line ${p}.`;
  if (by !== null) return `${divided(term(by))} is the part of ∂E/∂${z} that comes by way of ${p}.`;
  return `∂E/∂${z} = ${divided(outer.map((_, way) => term(way)).join(" + "))} = ${show(product[score])}`;
}

// A letter with its number below, which has one digit: p₀.
function indexed(letter, number) {
  return letter + String.fromCharCode("₀".charCodeAt(0) + number);
}
