"""A feed's photos, in their standard form."""
