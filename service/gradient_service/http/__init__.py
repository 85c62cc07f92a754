"""HTTP: routes, negotiation, limits, problems, pages."""
