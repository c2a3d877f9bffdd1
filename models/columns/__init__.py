"""What filters, facets and rankings read of listings, as columns in memory. Pure: no database."""
