"""The tables of the history. Rows of runs, results, changes and documents are never changed, only pruned by age."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

HEAD = "0001"
"""The revision of these tables; `migrations/versions` leads there."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_KEY = BigInteger().with_variant(Integer, "sqlite")

target = Table(
    "target",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("name", String(300), nullable=False, unique=True),
    Column("latest", _KEY),
    Column("latest_reached", _KEY),
    Column("failures", Integer, nullable=False, default=0),
)
"""What is audited again and again. `latest`: its last run; `latest_reached`: the last whole one that got answers, which
the next is compared with; `failures`: runs in a row since then that got none."""

document = Table(
    "document",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
)
"""JSON, compressed with zlib, kept once under the hash of what it says; see `records.py` for what the hash leaves out."""

fingerprint = Table(
    "fingerprint",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("value", String(64), nullable=False, unique=True),
    Column("check", String(100), nullable=False),
    Column("rule", Text, nullable=False),
    Column("route", Text, nullable=False),
)
"""What identifies a violation across runs."""

run = Table(
    "run",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("target_id", _KEY, ForeignKey("target.id"), nullable=False),
    Column("slot", String(400), unique=True),
    Column("fleet", String(100)),
    Column("command", String(20), nullable=False),
    Column("started", Float(53), nullable=False),
    Column("finished", Float(53), nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("reached", Boolean, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("tool_version", String(40), nullable=False),
    Column("policy_name", String(300), nullable=False),
    Column("policy_sha256", String(64), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("configuration_sha256", String(64), nullable=False),
    Column("requests_sent", Integer, nullable=False),
    Column("open_critical", Integer, nullable=False),
    Column("open_high", Integer, nullable=False),
    Column("open_medium", Integer, nullable=False),
    Column("open_low", Integer, nullable=False),
    Column("open_info", Integer, nullable=False),
    Column("waived", Integer, nullable=False),
    Column("baselined", Integer, nullable=False),
    Column("accepted", Text, nullable=False),
    Column("waivers", Text, nullable=False),
    Column("undecided", Integer, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("results", Integer, nullable=False),
    Column("results_sha256", String(64), nullable=False),
    Column("head_id", _KEY, ForeignKey("document.id"), nullable=False),
    Column("checks_id", _KEY, ForeignKey("document.id"), nullable=False),
    Column("compared_with", _KEY),
    Column("policy_changed", Boolean, nullable=False),
    Column("configuration_changed", Boolean, nullable=False),
    Column("auditor_changed", Boolean, nullable=False),
    Column("reach_changed", Boolean, nullable=False),
    Column("changes", Integer, nullable=False),
    Index("ix_run_target_id_id", "target_id", "id"),
    Index("ix_run_fleet_target_id", "fleet", "target_id"),
    Index("ix_run_finished", "finished"),
    Index("ix_run_head_id", "head_id"),
    Index("ix_run_checks_id", "checks_id"),
)
"""One audit of one target. Times in seconds since 1970 (UTC); `slot`: the scheduled moment that it answers for;
`fleet`: the fleet run that it belongs to; `accepted`: JSON, how many waived and baselined results
there are of each severity; `waivers`: JSON, id, owner and last day of each waiver; `results_sha256`: over its results, so that a torn row would show."""

result = Table(
    "result",
    metadata,
    Column("run_id", _KEY, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("fingerprint_id", _KEY, ForeignKey("fingerprint.id"), nullable=False),
    Column("verdict", SmallInteger, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("disposition", SmallInteger, nullable=False),
    Column("evidence", SmallInteger, nullable=False),
    Column("document_id", _KEY, ForeignKey("document.id"), nullable=False),
    Index("ix_result_document_id", "document_id"),
    sqlite_with_rowid=False,
)
"""One verdict of a run, passes included, in the order of the report."""

change = Table(
    "change",
    metadata,
    Column("run_id", _KEY, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("target_id", _KEY, ForeignKey("target.id"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("cause", String(14), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("fingerprint_id", _KEY, ForeignKey("fingerprint.id"), nullable=False),
    Column("document_id", _KEY, ForeignKey("document.id"), nullable=False),
    Index("ix_change_target_id_run_id", "target_id", "run_id"),
    Index("ix_change_document_id", "document_id"),
    sqlite_with_rowid=False,
)
"""One difference between a run and the one it was compared with when it was recorded."""

message = Table(
    "message",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("channel", String(64), nullable=False),
    Column("run_id", _KEY, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Float(53), nullable=False),
    Column("state", String(10), nullable=False),
    Column("error", Text, nullable=False, default=""),
    Index("ix_message_state_next_at", "state", "next_at"),
)
"""The outbox: one change of one target that one channel has to be told; `state` is waiting, sent or given-up.

It is written in the transaction of the run, so that neither is there without the other."""
Index("uq_message_channel_run_id", message.c.channel, message.c.run_id, unique=True)
