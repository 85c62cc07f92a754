// What keeps numbers from the page, in plain words.

import { Refusal, Unreachable } from "./calls.js";
import { say } from "./elements.js";

export function isHindrance(error) {
  return error instanceof Refusal || error instanceof Unreachable;
}

// Whether it hinders every view: no service, no key, no room.
export function concernsAll(error) {
  return error instanceof Unreachable || [401, 429, 503].includes(error.status);
}

// What is said in the view that was refused.
export function explanation(error) {
  if (error instanceof Unreachable) return "The service did not answer, so there are no numbers here.";
  const places = error.problem.errors.map(({ pointer, detail }) => `${pointer || "the request"}: ${detail}`);
  return `The service refused this, ${error.status} ${error.problem.title}. ${places.join(" ")}`;
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
  if (error.status === 401) return "This service wants a key. Enter yours under “API key”; it stays in this page.";
  return `The service has no room for this now (${error.status} ${error.problem.title}). Try again in a moment.`;
}
