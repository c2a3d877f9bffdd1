"""What every room shares: words, errors, limits, the contract of jobs. Nothing heavy."""
