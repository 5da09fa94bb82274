"""What is in force and who did what: handbook, keys, ledger, settings and models."""
