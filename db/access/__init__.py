"""Who may call, and who has changed what: commands of API keys, and the audit log."""
