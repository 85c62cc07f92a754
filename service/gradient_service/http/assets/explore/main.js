// The page: one state, one address, and views that ask the service anew after each change.

import { batch, buildEditor, fillEditor } from "./batch.js";
import { checked, isReply, send, textOf } from "./calls.js";
import { showCalls } from "./call_panel.js";
import { chainRule } from "./chain_rule.js";
import { element, say } from "./elements.js";
import { finiteDifferences } from "./finite_differences.js";
import { concernsAll, isHindrance, notify, tell } from "./hindrances.js";
import { naive } from "./naive.js";
import { roughly } from "./numbers.js";
import { refusals } from "./refusals.js";
import { shortcut } from "./shortcut.js";
import { squaredError } from "./squared_error.js";
import { gradientStep, offerStep, takeStep } from "./step.js";
import { assign, hasRoom, readAddress, reshape, SHAPE_CHANGES, writeQuery } from "./state.js";

const VIEWS = {
  batch,
  "chain-rule": chainRule,
  shortcut,
  "finite-differences": finiteDifferences,
  naive,
  "squared-error": squaredError,
  step: gradientStep,
};
const PAUSE_MILLISECONDS = 150; // after the last change, before the service is asked
const SHOWN = {
  rate: ({ rate }) => `η = ${rate}`,
  step: ({ step }) => `h = ${roughly(10 ** step)}`,
  offset: ({ offset }) => String(offset).replace("-", "−"),
};

const state = readAddress(location.search);
const main = document.querySelector("main");
const editor = document.querySelector("#batch table");
let answers = new Map(); // of the last round: calls are pure, so the same question is not asked twice
let key = ""; // lives as long as the page, and nowhere else
let round = new AbortController();
let timer;

function changed() {
  main.ariaBusy = "true";
  offerStep(document.getElementById("take-step"));
  round.abort();
  clearTimeout(timer);
  timer = setTimeout(refresh, PAUSE_MILLISECONDS);
}

function edited(change) {
  change();
  changed();
}

async function refresh() {
  round.abort();
  round = new AbortController();
  showControls();
  sayWhatIsMissing();
  main.ariaBusy = String(missing() === undefined);
  if (missing()) {
    for (const id of Object.keys(VIEWS)) document.getElementById(id).classList.add("unanswered");
    return;
  }
  history.replaceState(null, "", `${location.pathname}${writeQuery(state)}${location.hash}`);
  const { signal } = round;
  const next = new Map();
  const outcomes = await Promise.all(
    Object.entries(VIEWS).map(([id, view]) => refreshView(document.getElementById(id), view, signal, next)),
  );
  if (signal.aborted) return;
  answers = next;
  main.ariaBusy = "false";
  notify(outcomes.find((error) => error && concernsAll(error)));
}

// One view asks and draws; what hinders it is told in its place, and returned.
async function refreshView(section, view, signal, next) {
  const asked = [];
  const ask = async (path, fields) => {
    const call = { path, fields };
    const entry = { call, answer: null };
    asked.push(entry);
    entry.answer = await answerTo(call, signal, next);
    signal.throwIfAborted();
    return checked(entry.answer);
  };
  let hindrance = null;
  try {
    await view(section, state, ask);
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (!isHindrance(error)) throw error;
    hindrance = error;
  }
  section.classList.toggle("unanswered", hindrance !== null);
  tell(section.querySelector(".refusal"), hindrance);
  showCalls(section.querySelector(".calls"), asked.filter(({ answer }) => answer), key !== "");
  return hindrance;
}

async function answerTo(call, signal, next) {
  const question = `${call.path} ${textOf(call)}`;
  const answer = answers.get(question) ?? (await send(call, key, signal));
  if (isReply(answer)) next.set(question, answer);
  return answer;
}

// The first score that is no number, without which nothing is asked.
function missing() {
  return state.scores.flatMap((row, n) => row.map((score, j) => ({ score, n, j }))).find(({ score }) => Number.isNaN(score));
}

function sayWhatIsMissing() {
  const place = missing();
  const isWarm = document.querySelector("[data-state=temperature]").ariaInvalid !== "true";
  const temperature = isWarm ? "" : `The temperature needs a number above 0; T = ${state.temperature} holds until then.`;
  say(document.getElementById("incomplete"), place ? `Row ${place.n}, class ${place.j} needs a number.` : temperature);
}

// Controls outside the table show the state, and say where it is at an end.
function showControls() {
  for (const control of document.querySelectorAll("[data-state]")) {
    if (control === document.activeElement) continue;
    control.value = state[control.dataset.state];
    control.ariaInvalid = "false";
  }
  // Not `disabled`, which takes the focus from who is on the button.
  for (const name of SHAPE_CHANGES) document.getElementById(name).ariaDisabled = String(!hasRoom(state, name));
  for (const part of document.querySelectorAll("[data-objective]")) {
    part.hidden = part.dataset.objective !== state.objective;
  }
  for (const place of document.querySelectorAll("[data-shows]")) say(place, SHOWN[place.dataset.shows](state));
  for (const place of document.querySelectorAll("[data-row-name]")) say(place, `row ${state.row}`);
}

// Every view tells in a sentence what it shows. Only those near the focus are announced, or all would be at once.
function announceNear(focused) {
  for (const sentence of document.querySelectorAll(".said, .refusal")) {
    sentence.ariaLive = sentence.closest("section").contains(focused) ? "polite" : "off";
  }
}

function changeShape(name) {
  reshape(state, name);
  buildEditor(editor, state, edited);
  fillEditor(editor, state);
  offerClasses();
  showControls();
  changed();
}

function offerClasses() {
  const options = state.scores[0].map((_, j) => element("option", { value: j }, `class ${j}`));
  const choice = document.querySelector("[data-state=class]");
  choice.replaceChildren(...options);
  choice.value = state.class;
}

function listen() {
  for (const control of document.querySelectorAll("[data-state]")) {
    control.addEventListener("input", () => {
      const isUsable = assign(state, control.dataset.state, control.value);
      control.ariaInvalid = String(!isUsable);
      if (isUsable) changed();
      else sayWhatIsMissing();
    });
  }
  for (const name of SHAPE_CHANGES) document.getElementById(name).addEventListener("click", () => changeShape(name));
  document.getElementById("take-step").addEventListener("click", ({ target }) => {
    takeStep(target, state);
    fillEditor(editor, state);
    changed();
  });
  document.getElementById("again").addEventListener("click", changed);
  document.addEventListener("focusin", ({ target }) => announceNear(target));
  document.querySelector("#access form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = document.getElementById("key").value;
    answers.clear(); // they were given to the key before
    changed();
  });
}

listen();
buildEditor(editor, state, edited);
fillEditor(editor, state);
offerClasses();
refusals(document.getElementById("refusals"), () => key);
refresh();
