"""How a search finds listings."""
