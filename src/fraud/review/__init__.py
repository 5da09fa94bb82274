"""Cases and their workflow: what investigators do with findings and scores (a later issue fills this room)."""
