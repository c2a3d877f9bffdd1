"""What has had its time leaves database and stores, in small steps beside all other work."""
