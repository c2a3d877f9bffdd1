"""Where feeds come from: one module a protocol, all over fsspec."""
