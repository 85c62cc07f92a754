// Tables of numbers to walk through with the arrow keys: one stop of the tab key each, as grids have it.

import { element } from "./elements.js";
import { written } from "./numbers.js";

// A table of rows of numbers, with a name for each row and each column; without names of rows, none is shown.
export function matrix({ caption, rows, rowNames, columnNames, digits }) {
  const head = columnNames.map((name) => element("th", { scope: "col" }, name));
  const body = rows.map((row, i) => {
    const cells = row.map((value, j) => cell(value, i, j, digits));
    return element("tr", {}, ...(rowNames ? [element("th", { scope: "row" }, rowNames[i])] : []), ...cells);
  });
  const table = element(
    "table",
    { class: "matrix", role: "grid" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...(rowNames ? [element("td")] : []), ...head)),
    element("tbody", {}, ...body),
  );
  table.querySelector("tbody td").tabIndex = 0;
  table.addEventListener("keydown", walk);
  return table;
}

export function cellAt(table, i, j) {
  return table.querySelector(`[data-i="${i}"][data-j="${j}"]`);
}

function cell(value, i, j, digits) {
  const made = element("td", { tabindex: "-1", "data-i": i, "data-j": j }, written(value, digits));
  made.classList.toggle("negative", value < 0);
  return made;
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function walk(event) {
  const { i, j } = event.target.dataset;
  const step = STEPS[event.key];
  const next = step && cellAt(event.currentTarget, Number(i) + step[0], Number(j) + step[1]);
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
