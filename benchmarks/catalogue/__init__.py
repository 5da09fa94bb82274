"""The whole signal catalogue, timed beside the same figures in pandas and beside reading the data once."""
