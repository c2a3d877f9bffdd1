"""The science: photos, encoders, index. No database, no queue, no HTTP."""
