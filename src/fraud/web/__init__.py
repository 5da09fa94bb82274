"""The service's HTTP face: shapes, problems, routes; see `docs/api.md`."""
