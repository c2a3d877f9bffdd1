"""The HTTP API: validates requests, stores jobs, publishes their ids."""
