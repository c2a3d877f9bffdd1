"""Backups: written while everything runs, verified, and restored to an empty machine."""
