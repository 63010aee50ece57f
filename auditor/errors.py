"""What can go wrong, said so that a person can act on it.

    AuditorError                 anything a user can be told about; exit status 2 unless a subclass says otherwise
    ├── UsageError               the command line asks for something that does not exist or cannot be combined
    ├── PolicyError              the policy file is wrong (exit status 2)
    ├── ConfigurationError       a configuration file is missing, unreadable or refused (exit status 3)
    ├── TargetError              the running stack cannot be asked (exit status 3)
    └── HistoryError             the history cannot be opened, read or written (exit status 2)

Every error has a message, a place where there is one, and a hint.
"""

from __future__ import annotations

from auditor.dataclass import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A span in a file that somebody wrote; line and columns are 1-based, `end_column` is exclusive."""

    file: str
    line: int = 0
    column: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        """Return `file:line:column`, without the parts that are not known (0)."""
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one file; an error may carry several."""

    message: str
    location: Location | None = None
    hint: str = ""
    path: str = ""


class AuditorError(Exception):
    """Something a user can be told about: message, location, hint."""

    exit_status = 2

    def __init__(self, message: str, location: Location | None = None, hint: str = "") -> None:
        """Build the error of one problem."""
        super().__init__(message)
        self.problems: tuple[Problem, ...] = (Problem(message, location, hint),)

    @classmethod
    def of(cls, problems: tuple[Problem, ...]) -> AuditorError:
        """Build one error of several problems (at least one)."""
        error = cls(problems[0].message, problems[0].location, problems[0].hint)
        error.problems = problems
        return error

    @property
    def message(self) -> str:
        """The first problem's message."""
        return self.problems[0].message

    @property
    def location(self) -> Location | None:
        """The first problem's place."""
        return self.problems[0].location

    @property
    def hint(self) -> str:
        """The first problem's hint."""
        return self.problems[0].hint


class UsageError(AuditorError):
    """The command line asks for something that does not exist or cannot be combined."""


class PolicyError(AuditorError):
    """The policy file is wrong."""


class ConfigurationError(AuditorError):
    """A configuration file is missing, unreadable, or refused by the program it is for."""

    exit_status = 3


class TargetError(AuditorError):
    """The running stack cannot be asked."""

    exit_status = 3


class HistoryError(AuditorError):
    """The history cannot be opened, read or written."""
