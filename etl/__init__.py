"""The intake: a marketplace's feed in, clean listings and photos out."""
