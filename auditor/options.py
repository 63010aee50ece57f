"""What a caller asks of an audit: which policy, which part of it, and how to treat the running stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from auditor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    command: str
    policy: Path | None = None
    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    now: str | None = None
    targets: Sequence[str] = ()
    nginx: Path | None = None
    nginx_version: str | None = None
    profiles: Sequence[str] = ()
    fail_on: str | None = None

    @property
    def today(self) -> date:
        """The day that waivers are held against (UTC)."""
        if self.now is None:
            return datetime.now(UTC).date()
        try:
            return date.fromisoformat(self.now)
        except ValueError:
            raise UsageError(f"--now {self.now} is not a date", hint="year-month-day, such as 2027-02-01") from None


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What the command line asks of a live audit; `browser`: replay witnesses in Chromium; `progress` is told (requests done, requests planned)."""

    dry_run: bool = False
    ca_file: Path | None = None
    insecure: bool = False
    measure_limits: bool = True
    browser: bool = False
    progress: Callable[[int, int], None] = lambda _done, _total: None
    say: Callable[[str], object] = lambda _text: None
