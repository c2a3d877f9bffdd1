"""Jobs: how they are accepted, read, waited for, cancelled and retried."""
