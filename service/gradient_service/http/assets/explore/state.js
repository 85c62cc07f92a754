// What the page is about, as one object, and how that object is written into the address of the page.

const LIMITS = { rows: 6, classes: 6 };
export const OBJECTIVES = [
  "softmax_cross_entropy",
  "sigmoid_binary_cross_entropy",
  "softmax_binary_cross_entropy",
];

// One line a field: what it is at first, how its text is read (undefined where the text is unusable).
const FIELDS = {
  scores: [[[1, 2, 3], [0, 0, 0]], readScores],
  labels: [[2, 0], readLabels],
  objective: ["softmax_cross_entropy", oneOf(OBJECTIVES)],
  reduction: ["sum", oneOf(["sum", "mean"])],
  temperature: [1, numberWithin(Number.MIN_VALUE, Number.MAX_VALUE)],
  dtype: ["float64", oneOf(["float64", "float32"])],
  digits: ["6", oneOf(["4", "6", "9", "all"])],
  row: [0, wholeWithin(0, LIMITS.rows - 1)],
  class: [0, wholeWithin(0, LIMITS.classes - 1)],
  // What their bars can hold, so that a bar and its number say the same.
  step: [-5, multipleWithin(0.5, -15, 0)],
  offset: [100, multipleWithin(1, -800, 800)],
  rate: [1, multipleWithin(0.1, 0, 20)],
};

export function initialState() {
  return Object.fromEntries(Object.entries(FIELDS).map(([name, [initial]]) => [name, structuredClone(initial)]));
}

// The state that an address tells; whatever it tells wrongly is as at first.
export function readAddress(query) {
  const state = initialState();
  for (const [name, text] of new URLSearchParams(query)) {
    const value = Object.hasOwn(FIELDS, name) ? FIELDS[name][1](text) : undefined;
    if (value !== undefined) state[name] = value;
  }
  fit(state);
  return state;
}

// The query that tells a state: only what differs from the first one, so that an address stays short.
export function writeQuery(state) {
  const first = initialState();
  const parts = Object.keys(FIELDS)
    .map((name) => [name, write(state[name])])
    .filter(([name, text]) => text !== write(first[name]))
    .map(([name, text]) => `${name}=${text}`);
  return parts.length ? `?${parts.join("&")}` : "";
}

// A field of the state from the text of a control; false where the text is unusable.
export function assign(state, name, text) {
  const value = FIELDS[name][1](text);
  if (value === undefined) return false;
  state[name] = value;
  fit(state);
  return true;
}

// The changes of shape: whether the limits leave room for one, and what it does to the scores.
const RESHAPINGS = {
  "add-row": [(scores) => scores.length < LIMITS.rows, (scores) => scores.push(scores[0].map(() => 0))],
  "remove-row": [(scores) => scores.length > 1, (scores) => scores.pop()],
  "add-class": [(scores) => scores[0].length < LIMITS.classes, (scores) => scores.forEach((row) => row.push(0))],
  "remove-class": [(scores) => scores[0].length > 2, (scores) => scores.forEach((row) => row.pop())],
};
export const SHAPE_CHANGES = Object.keys(RESHAPINGS);

export function hasRoom(state, name) {
  return RESHAPINGS[name][0](state.scores);
}

export function reshape(state, name) {
  if (!hasRoom(state, name)) return;
  RESHAPINGS[name][1](state.scores);
  fit(state);
}

// Labels and choices follow the shape of the scores.
function fit(state) {
  const [last, lastClass] = [state.scores.length - 1, state.scores[0].length - 1];
  state.labels = state.scores.map((_, n) => Math.min(state.labels[n] ?? 0, lastClass));
  state.row = Math.min(state.row, last);
  state.class = Math.min(state.class, lastClass);
}

function write(value) {
  if (Array.isArray(value)) return value.map(write).join(Array.isArray(value[0]) ? ";" : ",");
  return String(value).replace("+", ""); // 1e+300 is 1e300: a plus sign in an address is a blank
}

function readScores(text) {
  const rows = text.split(";").map((row) => row.split(",").map(numberWithin(-Number.MAX_VALUE, Number.MAX_VALUE)));
  const width = rows[0].length;
  const isTable = rows.length <= LIMITS.rows && width >= 2 && width <= LIMITS.classes;
  return isTable && rows.every((row) => row.length === width && !row.includes(undefined)) ? rows : undefined;
}

function readLabels(text) {
  const labels = text.split(",").map(wholeWithin(0, LIMITS.classes - 1));
  return labels.length <= LIMITS.rows && !labels.includes(undefined) ? labels : undefined;
}

function oneOf(choices) {
  return (text) => (choices.includes(text) ? text : undefined);
}

function numberWithin(least, most) {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    return value >= least && value <= most ? value : undefined;
  };
}

// A number rounded to a multiple of a unit, written as short as the unit.
function multipleWithin(unit, least, most) {
  const read = numberWithin(least, most);
  return (text) => (read(text) === undefined ? undefined : Number((Math.round(read(text) / unit) * unit).toFixed(1)));
}

function wholeWithin(least, most) {
  const read = numberWithin(least, most);
  return (text) => (Number.isInteger(read(text)) ? read(text) : undefined);
}
