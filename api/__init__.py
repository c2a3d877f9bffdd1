"""The front desk: HTTP in, jobs out."""
