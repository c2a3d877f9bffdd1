"""`marketlens rank`: the weights of recommendations that were learned."""
