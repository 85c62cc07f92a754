"use strict";

// ReDoc's own theme names fonts that are not on every machine; the page loads none from elsewhere.
const systemFont = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const systemMonospace = "ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace";

// It has no dark theme. These are the colours of the other pages, read once: it cannot change them while it is open.
const dark = {
  colors: {
    primary: { main: "#74c5dc" },
    text: { primary: "#e7e5e0", secondary: "#a8a59d" },
    border: { dark: "#363b43", light: "#363b43" },
    responses: Object.fromEntries(
      ["success", "error", "redirect", "info"].map((kind) => [kind, { backgroundColor: "#1e2126" }]),
    ),
  },
  schema: {
    nestedBackground: "#1e2126",
    linesColor: "#8d8a83",
    requireLabelColor: "#ff8b80",
    typeNameColor: "#a8a59d",
    typeTitleColor: "#a8a59d",
  },
  typography: { code: { color: "#e7e5e0", backgroundColor: "#1e2126" }, links: { color: "#74c5dc" } },
  sidebar: { backgroundColor: "#1e2126", textColor: "#e7e5e0" },
  rightPanel: { backgroundColor: "#101215" },
};

function theme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const { typography = {}, ...rest } = isDark ? dark : {};
  return {
    ...rest,
    typography: {
      ...typography,
      fontFamily: systemFont,
      headings: { fontFamily: systemFont },
      code: { ...typography.code, fontFamily: systemMonospace },
    },
  };
}

ownDocument().then((spec) => Redoc.init(spec, { theme: theme() }, document.getElementById("reference")));
