"""Photos at URLs: fetched beside the embedding, so that a slow host delays nobody else."""
