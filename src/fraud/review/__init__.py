"""Cases and their workflow: what investigators do with findings and scores.

`fraud.review.queue` makes the week's list; candidates come from `fraud.review.candidates`.
"""
