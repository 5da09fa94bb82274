"""How good a model is: on held-out rows, quarter by quarter, against what it replaces, for everybody alike."""
