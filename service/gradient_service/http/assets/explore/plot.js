// The error of a difference quotient against its step, both on logarithmic axes.

import { drawn, element } from "./elements.js";

const WIDTH = 560;
const HEIGHT = 300;
const EDGE = { left: 52, right: 14, top: 14, bottom: 40 };
const STEPS = { least: -15, most: 0 };
const ERRORS = { least: -17, most: 1 }; // what is smaller, 0 too, stands on the floor

export function plot(points, chosen) {
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": "plot-title" });
  const title = drawn("title", { id: "plot-title" }, "Error of the difference quotient against the step h");
  picture.append(title, ...grid(), curve(points), ...points.map(dot), mark(chosen));
  return element("figure", {}, picture, element("figcaption", {}, "Error |quotient − ∂E/∂z| against the step h"));
}

function across(step) {
  const share = (Math.log10(step) - STEPS.least) / (STEPS.most - STEPS.least);
  return EDGE.left + share * (WIDTH - EDGE.left - EDGE.right);
}

function up(error) {
  const power = Math.min(ERRORS.most, Math.max(ERRORS.least, Math.log10(error)));
  const share = (power - ERRORS.least) / (ERRORS.most - ERRORS.least);
  return HEIGHT - EDGE.bottom - share * (HEIGHT - EDGE.top - EDGE.bottom);
}

function grid() {
  const steps = [-15, -12, -9, -6, -3, 0].flatMap((power) => {
    const x = across(10 ** power);
    const line = drawn("line", { class: "grid", x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
    return [line, label(power, { x, y: HEIGHT - EDGE.bottom + 18, "text-anchor": "middle" })];
  });
  const errors = [-15, -10, -5, 0].flatMap((power) => {
    const y = up(10 ** power);
    const line = drawn("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y });
    return [line, label(power, { x: EDGE.left - 8, y: y + 4, "text-anchor": "end" })];
  });
  const name = drawn("text", { x: WIDTH / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "step h");
  return [...steps, ...errors, name];
}

function label(power, attributes) {
  return drawn("text", attributes, power === 0 ? "1" : `1e${power}`.replace("-", "−"));
}

function curve(points) {
  const places = points.map(({ step, error }) => `${across(step)},${up(error)}`);
  return drawn("polyline", { class: "curve", points: places.join(" ") });
}

function dot({ step, error }) {
  return drawn("circle", { class: "dot", cx: across(step), cy: up(error), r: 3 });
}

function mark({ step, error }) {
  const [x, y] = [across(step), up(error)];
  const line = drawn("line", { class: "mark", x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
  return drawn("g", {}, line, drawn("circle", { class: "mark", cx: x, cy: y, r: 8 }));
}
