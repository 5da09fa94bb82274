"""What Alembic runs: the revisions, on the connection that `fraud.store.migrating` hands over."""

from __future__ import annotations

from alembic import context

from fraud.store.migrations import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    # SQLite undoes changes of tables too, given that transactions are begun by us and not by its driver.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
