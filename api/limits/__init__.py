"""How many requests a key and an address may make in a while, and bulk uploads at once."""
