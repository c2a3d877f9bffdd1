"""The commands of `marketlens index`."""
