"""`Idempotency-Key`: a request that is repeated makes nothing again, and is answered again."""
