// Holds a softmax cross-entropy and its gradient, as most would write them, against the golden pack: put your own
// function in the place of `naive`. Needs Node 20 and no service. The 64 ulp that are allowed, unless a number follows
// the name, forgive roundings but no lost digits; the pack's own bound, for those who correct roundings, is 5.5 here.
"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

function naive(logits, label) {
  const exponentials = logits.map((logit) => Math.exp(logit));
  const sum = exponentials.reduce((total, exponential) => total + exponential, 0);
  const probabilities = exponentials.map((exponential) => exponential / sum);
  const gradient = probabilities.map((probability, j) => probability - (j === label ? 1 : 0));
  return { loss: -Math.log(probabilities[label]), gradient };
}

function ulp(magnitude) { // from a number ≥ 0 to the next one
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, magnitude);
  view.setBigUint64(0, view.getBigUint64(0) + 1n);
  return view.getFloat64(0) - magnitude;
}

const error = (found, expected) => (found === expected ? 0 : Math.abs(found - expected) / ulp(Math.abs(expected)));

function largestError({ request: { logits, labels }, expected: { float64: { losses, gradient } } }) {
  return Math.max(...logits.flatMap((row, n) => { // NaN if any error is
    const answer = naive(row, labels[n]);
    const errors = answer.gradient.map((found, j) => error(found, gradient.values[n][j]));
    return [error(answer.loss, losses.values[n]), ...errors];
  }));
}

const fields = "logits,labels,reduction,include"; // the cases without options: the loss and gradient of each row
const isPlain = ({ request, expected }) =>
  expected.float64 && request.reduction === "none" && Object.keys(request).join() === fields;
const manifest = JSON.parse(readFileSync(join(__dirname, "../openapi/golden/manifest.json"), "utf8"));
const results = manifest.cases.filter(isPlain).map((each) => [each.id, largestError(each)]);
const failures = results.filter(([, worst]) => !(worst <= Number(process.argv[2] ?? 64)));
for (const [id, worst] of failures) console.log(`${id}: off by ${worst.toPrecision(3)} ulp`);
console.log(`${failures.length} of ${results.length} cases fail`);
process.exitCode = failures.length ? 1 : 0;
