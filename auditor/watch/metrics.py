"""The state of every target as Prometheus metrics, read from the history: for `/metrics`, and for a textfile collector."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from auditor import __version__
from auditor.errors import UsageError
from auditor.finding import Severity
from auditor.history import outbox, queries
from auditor.history.database import Database

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Targets(Collector):
    """Reads the history each time it is asked: the metrics are never older than the last run."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def describe(self) -> Iterable[Metric]:
        """Say nothing in advance: registering must not read the history."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        rows = queries.every_target(self.database)
        success = GaugeMetricFamily(
            "auditor_success", "Whether the target could be audited the last time.", labels=["target"]
        )
        findings = GaugeMetricFamily(
            "auditor_findings",
            "Violations that the last audit found, by severity and by what was decided about them.",
            labels=["target", "severity", "status"],
        )
        duration = GaugeMetricFamily("auditor_duration_seconds", "How long the last audit took.", labels=["target"])
        moment = GaugeMetricFamily(
            "auditor_last_run_timestamp_seconds", "When the last audit ended, in seconds since 1970.", labels=["target"]
        )
        undecided = GaugeMetricFamily(
            "auditor_checks_not_evaluated", "Verdicts that the last audit could not reach.", labels=["target"]
        )
        policies = GaugeMetricFamily("auditor_policy_info", "Policies in force.", labels=["name", "sha256"])
        for row in rows:
            name = row["name"]
            success.add_metric([name], float(row["reached"]))
            duration.add_metric([name], max(row["finished"] - row["started"], 0.0))
            moment.add_metric([name], row["finished"])
            undecided.add_metric([name], row["undecided"])
            for severity in Severity:
                findings.add_metric([name, severity.word, "open"], row[f"open_{severity.word}"])
            for status, counts in json.loads(row["accepted"]).items():
                for severity, number in counts.items():
                    findings.add_metric([name, severity, status], number)
        for name, sha256 in sorted({(r["policy_name"], r["policy_sha256"]) for r in rows if r["policy_sha256"]}):
            policies.add_metric([name, sha256], 1)
        yield from (success, findings, duration, moment, undecided, policies)
        yield _expiry(rows)
        yield from self._rest()

    def _rest(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "auditor_messages", "Messages of the outbox, by channel and state.", labels=["channel", "state"]
        )
        for (channel, state), number in sorted(outbox.counts(self.database).items()):
            waiting.add_metric([channel, state], number)
        yield waiting
        build = GaugeMetricFamily("auditor_build_info", "The auditor itself.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build


def _expiry(rows: Sequence[Mapping[str, Any]]) -> Metric:
    """Return when each waiver ends: with the last moment of its last day (UTC), the earliest where policies share it."""
    metric = GaugeMetricFamily(
        "auditor_waiver_expiry_timestamp_seconds",
        "When a waiver of the policy ends, in seconds since 1970.",
        labels=["rule", "owner"],
    )
    ends: dict[tuple[str, str], float] = {}
    for text in {row["waivers"] for row in rows}:
        for rule, owner, day in json.loads(text):
            end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time.min, UTC).timestamp()
            ends[rule, owner] = min(end, ends.get((rule, owner), end))
    for labels, end in sorted(ends.items()):
        metric.add_metric(list(labels), end)
    return metric


def registry(database: Database) -> CollectorRegistry:
    """Return a registry that reads this history."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Targets(database))
    return made


def text(database: Database) -> bytes:
    """Return the metrics in the Prometheus text format."""
    return generate_latest(registry(database))


def write(database: Database, file: Path) -> None:
    """Write the metrics for a textfile collector: the whole file at once, never half of it."""
    try:
        write_to_textfile(str(file), registry(database))
    except OSError as error:
        raise UsageError(f"cannot write the metrics to {file}: {error.strerror}") from error
