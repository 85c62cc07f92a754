"use strict";

// Swagger UI has dark colours, under a class that follows the reader's choice here.
const isDark = matchMedia("(prefers-color-scheme: dark)");
function follow() {
  document.documentElement.classList.toggle("dark-mode", isDark.matches);
}
follow();
isDark.addEventListener("change", follow);

ownDocument().then((spec) =>
  SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    // The badge would send the document's address to a public validator.
    validatorUrl: null,
  }),
);
