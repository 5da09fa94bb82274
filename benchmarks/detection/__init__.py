"""What the signals find on a simulated payer: scores of claims and entities, measured against the truth."""
