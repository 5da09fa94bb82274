"""Learning: labels, splits, fitting, measuring, tracking and promotion."""
