"""Linear maps of an encoder's vectors, learned from a catalogue: adapted encoders."""
