// Requests that are wrong on purpose, and the problem documents that answer them.

import { problemOf, send, Unreachable } from "./calls.js";
import { showCalls } from "./call_panel.js";
import { element, say } from "./elements.js";
import { pageOf } from "./hindrances.js";

const ROW = [[1, 2, 3]];
const MISTAKES = {
  "label out of range": { path: "gradient", fields: { logits: ROW, labels: [3] } },
  "a NaN": { path: "softmax", text: '{"logits": [[1, 2, NaN]]}' },
  "ragged rows": { path: "gradient", fields: { logits: [[1, 2, 3], [0, 0]], labels: [2, 0] } },
  "a misspelt field": { path: "softmax", fields: { logits: ROW, temprature: 2 } },
  "temperature 0": { path: "softmax", fields: { logits: ROW, temperature: 0 } },
  "targets that sum to 0.9": { path: "loss", fields: { logits: ROW, targets: [[0.2, 0.3, 0.4]] } },
};

export function refusals(section, keyNow) {
  let last = new AbortController();
  const buttons = Object.entries(MISTAKES).map(([name, call]) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      last.abort();
      last = new AbortController();
      provoke(section, call, keyNow(), last.signal);
    });
    return button;
  });
  section.querySelector(".mistakes").replaceChildren(...buttons);
}

async function provoke(section, call, key, signal) {
  const status = section.querySelector(".said");
  try {
    const answer = await send(call, key, signal);
    const problem = problemOf(answer);
    section.querySelector(".results").replaceChildren(problemTable(answer.status, problem));
    say(status, `${answer.status} ${problem.title}. ${problem.detail ?? ""}`);
    showCalls(section.querySelector(".calls"), [{ call, answer }], key !== "");
    section.querySelector(".call").open = true;
  } catch (error) {
    if (error.name === "AbortError") return; // a later mistake is asked for
    if (!(error instanceof Unreachable)) throw error;
    section.querySelector(".results").replaceChildren();
    showCalls(section.querySelector(".calls"), [], key !== "");
    say(status, "The service did not answer.");
  }
}

function problemTable(status, { type, title, errors }) {
  const faults = errors.map(({ pointer, detail }) => [pointer || "(whole)", detail]);
  const types = type ? [["type", pageOf(type, type)]] : [];
  const lines = [["status", status], ...types, ["title", title], ...faults];
  const rows = lines.map(([name, content]) => {
    return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, content));
  });
  const caption = element("caption", {}, "The problem, in application/problem+json");
  return element("table", { class: "problem" }, caption, element("tbody", {}, ...rows));
}
