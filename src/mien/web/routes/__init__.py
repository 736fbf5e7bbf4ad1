"""All HTTP: the interface under /api, and the pages."""
