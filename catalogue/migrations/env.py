"""Runs migrations on the connection that catalogue.migrate opened: one transaction, no file or logger of Alembic's own."""

from alembic import context

from catalogue.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
