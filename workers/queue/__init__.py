"""The job queues: their messages, publisher and executors."""
