"""What a photo shows, and how well: its subject, found without a drawn region, and its quality."""
