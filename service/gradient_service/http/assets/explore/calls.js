// Calls of the service: how they are sent, and how someone else would send them, with curl or from Python.

export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.problem = problem;
  }
}

export class Unreachable extends Error {}

export const FOREIGN = { title: "This is no answer of the service", detail: "", errors: [] }; // of a proxy, say

// A call has a path, relative to the page, and fields; or a text in their place, to send what is no JSON.
export function textOf(call) {
  return call.text ?? JSON.stringify(call.fields);
}

// The answer as it came: its status, its text, and what the text says.
export async function send(call, key, signal) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const reply = await fetch(call.path, { method: "POST", headers, body: textOf(call), signal }).catch(unreachable);
  const text = await reply.text().catch(unreachable);
  return { status: reply.status, text, value: parsed(text) };
}

// Whether the service answers, in whose replies stands what was applied; a page to log in at may be a 200 as well.
export function isReply({ status, value }) {
  return status === 200 && value?.applied !== undefined;
}

export function problemOf({ value }) {
  return value?.errors ? value : FOREIGN;
}

export function checked(answer) {
  if (isReply(answer)) return answer.value;
  throw new Refusal(answer.status, problemOf(answer));
}

export function curlLine(call, hasKey) {
  const key = hasKey ? ' -H "Authorization: Bearer $GRADIENT_API_KEY"' : "";
  const body = textOf(call).replaceAll("'", "'\\''");
  return `curl ${addressOf(call)}${key} -H 'Content-Type: application/json' -d '${body}'`;
}

// The client reads a key from GRADIENT_API_KEY itself.
export function pythonLines(call) {
  const { logits, claimed, ...options } = call.fields;
  const named = Object.entries({ ...options, ...claimed }).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [
    "from gradient_client import GradientClient",
    "",
    `with GradientClient(${JSON.stringify(addressOf({ path: "." }).replace(/\/$/, ""))}) as client:`,
    `    result = client.${call.path}(${[JSON.stringify(logits), ...named].join(", ")})`,
    "print(result)",
  ].join("\n");
}

function addressOf(call) {
  return new URL(call.path, document.baseURI).href;
}

function unreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new Unreachable(error.message);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
