"""Photos: storing what is uploaded, serving what listings show."""
