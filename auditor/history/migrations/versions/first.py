"""The first tables, and the triggers that keep their rows as they were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

IMMUTABLE = ("run", "result", "change", "document", "fingerprint")


def _key() -> sa.types.TypeEngine[int]:
    """Return the type of keys: 64 bits, and what SQLite numbers by itself."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and have the database refuse to change what was recorded."""
    op.create_table(
        "document",
        sa.Column("id", _key(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
        sa.UniqueConstraint("sha256", name=op.f("uq_document_sha256")),
    )
    op.create_table(
        "fingerprint",
        sa.Column("id", _key(), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("check", sa.String(length=100), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprint")),
        sa.UniqueConstraint("value", name=op.f("uq_fingerprint_value")),
    )
    op.create_table(
        "message",
        sa.Column("id", _key(), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("run_id", _key(), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index("ix_message_state_next_at", "message", ["state", "next_at"], unique=False)
    op.create_index("uq_message_channel_run_id", "message", ["channel", "run_id"], unique=True)
    op.create_table(
        "target",
        sa.Column("id", _key(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("latest", _key(), nullable=True),
        sa.Column("latest_reached", _key(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target")),
        sa.UniqueConstraint("name", name=op.f("uq_target_name")),
    )
    op.create_table(
        "run",
        sa.Column("id", _key(), nullable=False),
        sa.Column("target_id", _key(), nullable=False),
        sa.Column("slot", sa.String(length=400), nullable=True),
        sa.Column("fleet", sa.String(length=100), nullable=True),
        sa.Column("command", sa.String(length=20), nullable=False),
        sa.Column("started", sa.Float(precision=53), nullable=False),
        sa.Column("finished", sa.Float(precision=53), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("reached", sa.Boolean(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tool_version", sa.String(length=40), nullable=False),
        sa.Column("policy_name", sa.String(length=300), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=200), nullable=False),
        sa.Column("configuration_sha256", sa.String(length=64), nullable=False),
        sa.Column("requests_sent", sa.Integer(), nullable=False),
        sa.Column("open_critical", sa.Integer(), nullable=False),
        sa.Column("open_high", sa.Integer(), nullable=False),
        sa.Column("open_medium", sa.Integer(), nullable=False),
        sa.Column("open_low", sa.Integer(), nullable=False),
        sa.Column("open_info", sa.Integer(), nullable=False),
        sa.Column("waived", sa.Integer(), nullable=False),
        sa.Column("baselined", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Text(), nullable=False),
        sa.Column("waivers", sa.Text(), nullable=False),
        sa.Column("undecided", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("results_sha256", sa.String(length=64), nullable=False),
        sa.Column("head_id", _key(), nullable=False),
        sa.Column("checks_id", _key(), nullable=False),
        sa.Column("compared_with", _key(), nullable=True),
        sa.Column("policy_changed", sa.Boolean(), nullable=False),
        sa.Column("configuration_changed", sa.Boolean(), nullable=False),
        sa.Column("auditor_changed", sa.Boolean(), nullable=False),
        sa.Column("reach_changed", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["checks_id"], ["document.id"], name=op.f("fk_run_checks_id")),
        sa.ForeignKeyConstraint(["head_id"], ["document.id"], name=op.f("fk_run_head_id")),
        sa.ForeignKeyConstraint(["target_id"], ["target.id"], name=op.f("fk_run_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("slot", name=op.f("uq_run_slot")),
    )
    op.create_index("ix_run_checks_id", "run", ["checks_id"], unique=False)
    op.create_index("ix_run_finished", "run", ["finished"], unique=False)
    op.create_index("ix_run_fleet_target_id", "run", ["fleet", "target_id"], unique=False)
    op.create_index("ix_run_head_id", "run", ["head_id"], unique=False)
    op.create_index("ix_run_target_id_id", "run", ["target_id", "id"], unique=False)
    op.create_table(
        "change",
        sa.Column("run_id", _key(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("target_id", _key(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("cause", sa.String(length=14), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("fingerprint_id", _key(), nullable=False),
        sa.Column("document_id", _key(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_change_document_id")),
        sa.ForeignKeyConstraint(["fingerprint_id"], ["fingerprint.id"], name=op.f("fk_change_fingerprint_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_change_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["target_id"], ["target.id"], name=op.f("fk_change_target_id")),
        sa.PrimaryKeyConstraint("run_id", "ordinal", name=op.f("pk_change")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_change_document_id", "change", ["document_id"], unique=False)
    op.create_index("ix_change_target_id_run_id", "change", ["target_id", "run_id"], unique=False)
    op.create_table(
        "result",
        sa.Column("run_id", _key(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("fingerprint_id", _key(), nullable=False),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("disposition", sa.SmallInteger(), nullable=False),
        sa.Column("evidence", sa.SmallInteger(), nullable=False),
        sa.Column("document_id", _key(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_result_document_id")),
        sa.ForeignKeyConstraint(["fingerprint_id"], ["fingerprint.id"], name=op.f("fk_result_fingerprint_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_result_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "ordinal", name=op.f("pk_result")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_result_document_id", "result", ["document_id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for table in IMMUTABLE:
            op.execute(
                f"CREATE TRIGGER {table}_is_immutable BEFORE UPDATE ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'a recorded {table} is never changed'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'a recorded % is never changed', TG_TABLE_NAME; END $$"
    )
    for table in IMMUTABLE:
        op.execute(
            f"CREATE TRIGGER {table}_is_immutable BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_update()"
        )
