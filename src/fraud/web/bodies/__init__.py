"""What comes in and what goes out: bodies, all their faults at once, problems."""
