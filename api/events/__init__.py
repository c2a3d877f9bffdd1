"""Events: what buyers do with listings."""
