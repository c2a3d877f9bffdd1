"""What buyers do with listings, stored by keys that their ids can't be read from."""
