"""What every page stands in: who visits, forms, words, templates, and the way to an answer."""
