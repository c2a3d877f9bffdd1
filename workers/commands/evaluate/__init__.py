"""`marketlens evaluate`: how well encoders, and recommendations, find what they should."""
