"""Who may do what, whose records they see, and which names are masked."""
