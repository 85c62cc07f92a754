"use strict";

// ReDoc's own theme names fonts that are not on every machine; the page loads none from elsewhere.
const systemFont = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const systemMonospace = "ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace";

Redoc.init(
  "openapi.json",
  {
    theme: {
      typography: {
        fontFamily: systemFont,
        headings: { fontFamily: systemFont },
        code: { fontFamily: systemMonospace },
      },
    },
  },
  document.getElementById("reference"),
);
