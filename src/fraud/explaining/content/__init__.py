"""What a report says: one plain document in words of one language, from which every format is rendered."""
