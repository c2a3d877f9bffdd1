"""How well an encoder finds: retrieval figures, their uncertainty, and pages that show them."""
