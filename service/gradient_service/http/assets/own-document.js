"use strict";

// The document's samples name the address where `make run` serves. On the page they name the one that it came from,
// with the prefix that a proxy may have added.
async function ownDocument() {
  const reply = await fetch("openapi.json");
  const here = new URL(".", location.href).href.replace(/\/$/, "");
  return JSON.parse((await reply.text()).replaceAll("http://127.0.0.1:8000", here));
}
