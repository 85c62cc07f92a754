// How numbers are written: rounded to the chosen digits, or all digits that tell a double from its neighbours.

const MINUS = "\u2212";

export function written(value, digits) {
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  if (size === Infinity) return `${sign}∞`;
  return sign + typeset(digits === "all" ? String(size) : rounded(size, Number(digits)));
}

// Two digits, for sizes that are only compared.
export function roughly(value) {
  const size = Math.abs(Number(value.toPrecision(2)));
  const isPlain = size === 0 || (size >= 0.01 && size < 1000);
  return (value < 0 ? MINUS : "") + (isPlain ? String(size) : typeset(size.toExponential()));
}

// Between 0.0001 and a million: digits after the point. Beyond: one before it, and a power of ten.
function rounded(size, digits) {
  if (size === 0) return "0";
  const isPlain = size >= 1e-4 && size < 1e6;
  return isPlain ? size.toFixed(digits) : size.toExponential(digits);
}

function typeset(text) {
  return text.replace("e+", "e").replace("-", MINUS);
}
