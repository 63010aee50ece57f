"""Run the steps on the connection that `store.py` hands over; its transaction makes them all or nothing."""

from alembic import context

from auditor.history.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
