"""Networks that can be encoders: `architectures` knows them, the others build them by torch."""
