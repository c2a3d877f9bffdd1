"""What all commands share: options, lazy imports, exit codes, opened resources."""
