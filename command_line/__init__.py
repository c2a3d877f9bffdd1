"""What all commands share: their options, how they are found, how they end, what they open."""
