"""From what was found to what is shown, in order. Pure: no index, no database."""
