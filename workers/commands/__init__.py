"""The commands of this room, one module a subject."""
