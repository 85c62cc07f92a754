// What keeps numbers from the page, in plain words.

import { FOREIGN, Refusal, Unreachable } from "./calls.js";
import { element, say } from "./elements.js";

export function isHindrance(error) {
  return error instanceof Refusal || error instanceof Unreachable;
}

// Whether it hinders every view: no service, another in its place, no key, no room.
export function concernsAll(error) {
  return error instanceof Unreachable || isForeign(error) || [401, 429, 503].includes(error.status);
}

function isForeign(error) {
  return error.problem === FOREIGN;
}

// Says in the view that was refused what was, with the page of the problem. A text that is read out is touched only when
// it changes.
export function tell(place, error) {
  const parts = error ? explanation(error) : [];
  if (place.textContent === parts.map((part) => part.textContent ?? part).join("")) return;
  place.replaceChildren(...parts);
}

function explanation(error) {
  if (error instanceof Unreachable) return ["The service did not answer, so there are no numbers here."];
  if (isForeign(error)) return [`${FOREIGN.title}, ${error.status}, so there are no numbers here.`];
  const { errors, title, type } = error.problem;
  const places = errors.map(({ pointer, detail }) => `${pointer || "the request"}: ${detail}`);
  return [`The service refused this, ${error.status} `, pageOf(type, title), `. ${places.join(" ")}`];
}

// The page of a problem, beside this one wherever that is served.
export function pageOf(type, text) {
  return element("a", { href: type.replace(/^\//, "") }, text);
}

// What stops all views is said once, above them, with what can be done.
export function notify(error) {
  const notice = document.getElementById("notice");
  notice.hidden = !error;
  if (!error) return;
  say(notice.querySelector("p"), advice(error));
  if (error.status === 401) document.getElementById("access").open = true;
}

function advice(error) {
  if (error instanceof Unreachable) return "The service does not answer. Is it running, and can this machine reach it?";
  if (isForeign(error)) return "Something else answers in place of the service: a proxy, say, or a page to log in at.";
  if (error.status === 401) return "This service wants a key. Enter yours under “API key”; it stays in this page.";
  return `The service has no room for this now (${error.status} ${error.problem.title}). Try again in a moment.`;
}
