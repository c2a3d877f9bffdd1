"""The switchboard: starts and stops the processes of one machine."""
