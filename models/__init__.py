"""Photos, encoders, indexes, training, evaluation. No database, no queue, no HTTP."""
