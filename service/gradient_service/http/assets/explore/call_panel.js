// The calls behind a view: each with its request, its reply, and the same call in curl and in Python.

import { curlLine, pythonLines, textOf } from "./calls.js";
import { element, say } from "./elements.js";

// Shows the calls in a place, reusing what stands there, so that what is open stays open.
export function showCalls(place, asked, hasKey) {
  while (place.children.length > asked.length) place.lastElementChild.remove();
  asked.forEach(({ call, answer }, index) => {
    const item = place.children[index] ?? place.appendChild(emptyItem());
    fill(item, call, answer, hasKey);
  });
}

function emptyItem() {
  const texts = ["request", "reply", "curl", "python"].flatMap((name) => [
    element("dt", {}, name === "curl" ? "curl" : name[0].toUpperCase() + name.slice(1)),
    element("dd", {}, element("pre", { "data-text": name, tabindex: "0", "aria-label": name })),
  ]);
  const summary = element("summary", {}, element("code"), " ", element("span", { class: "status" }));
  return element("details", { class: "call" }, summary, element("dl", {}, ...texts));
}

function fill(item, call, answer, hasKey) {
  say(item.querySelector("summary code"), `POST /${call.path}`);
  say(item.querySelector(".status"), `answered ${answer.status}`);
  const texts = {
    request: textOf(call),
    reply: answer.text,
    curl: curlLine(call, hasKey),
    python: call.text === undefined ? pythonLines(call) : "# The client sends nothing like this.",
  };
  for (const [name, text] of Object.entries(texts)) say(item.querySelector(`[data-text=${name}]`), text);
}
