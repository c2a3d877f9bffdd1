"""What a training learns from: features, pixels, parts of the catalogue."""
