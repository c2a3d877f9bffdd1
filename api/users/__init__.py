"""Users, by the caller's pseudonyms: what is known of them, and that they are forgotten."""
