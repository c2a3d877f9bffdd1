"""Photo encoders behind one protocol."""
