"""Pages that reviewers work with: queue, cases, those whom they are about, overview, tips."""
