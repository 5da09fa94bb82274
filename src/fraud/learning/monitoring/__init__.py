"""Whether the claims are still those that a model was fitted on, and when to train again."""
