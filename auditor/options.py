"""What a caller asks of an audit: which policy, which part of it, and how to treat the running stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `new_since`: a git revision whose findings are not counted again."""

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
    baseline: Path | None = None
    new_since: str | None = None

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
    """What the command line asks of a live audit.

    `measure_limits`: True estimates every declared rate limit, whatever it costs; None only asks whether it is in force,
    where that is cheap. `env_proxies`: go through the proxies that the environment names, which are ignored else.
    `browser`: replay witnesses in Chromium. `progress` is told (requests done, requests planned),
    `say` the lines of a dry run, `note` what the user should know besides the report. `fuzz`: so many requests are drawn
    beyond the plan, beginning with `seed`. `replay`: a file with witnesses that are asked again, and nothing else.
    """

    dry_run: bool = False
    ca_file: Path | None = None
    insecure: bool = False
    env_proxies: bool = False
    measure_limits: bool | None = None
    browser: bool = False
    fuzz: int = 0
    seed: int = 0
    replay: str | None = None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    say: Callable[[str], object] = lambda _text: None
    note: Callable[[str], object] = lambda _text: None
