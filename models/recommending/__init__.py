"""From what a user did with listings to what is recommended, and why. Pure: numpy and scipy."""
