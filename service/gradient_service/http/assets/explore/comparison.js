// A table that compares ways to one result: a line a way, a column a class.

import { element } from "./elements.js";
import { written } from "./numbers.js";

// Each line has a name, where its numbers come from, and its values: numbers, or texts as they are.
export function comparison(caption, columns, lines, digits) {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  const rows = lines.map(({ name, by, values, mark }) => {
    const cells = columns.map((_, j) => cellOf(values[j] ?? "", digits));
    return element("tr", { class: mark ?? false }, titleOf(name, by), ...cells);
  });
  return element(
    "table",
    { class: "comparison" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, element("td"), ...head)),
    element("tbody", {}, ...rows),
  );
}

export function titleOf(name, by) {
  return element("th", { scope: "row" }, element("span", {}, name), " ", element("small", {}, `by ${by}`));
}

export function classNames(count) {
  return Array.from({ length: count }, (_, j) => `class ${j}`);
}

function cellOf(value, digits) {
  const cell = element("td", {}, typeof value === "number" ? written(value, digits) : value);
  cell.classList.toggle("negative", value < 0);
  cell.classList.toggle("broken", typeof value === "number" && !Number.isFinite(value));
  return cell;
}
