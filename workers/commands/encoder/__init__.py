"""The commands of `marketlens encoder`."""
