"""How a database becomes one of the present schema, step by step (Alembic)."""
