"""What people on call look at: logs, metrics, traces; nothing in them names a person."""
