"""Campaigns in the database: what each is about, how each provider stands in it, tasks, history and files.

`fraud.review.campaigns` knows the steps; here is only how they are stored.
"""
