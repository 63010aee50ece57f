"""Browser builds: the variables of `.env.*` files that end up in JavaScript, and the addresses they point at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from auditor.compose.interpolate import Variable, parse_env
from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location

PREFIXES = ("REACT_APP_", "VITE_", "NEXT_PUBLIC_", "VUE_APP_", "NUXT_PUBLIC_", "GATSBY_", "PUBLIC_", "EXPO_PUBLIC_")
"""What bundlers put into the client: Create React App, Vite, Next.js, Vue CLI, Nuxt, Gatsby, SvelteKit/Astro, Expo."""

_ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_BARE = re.compile(r"^(localhost|[A-Za-z0-9.-]+\.[A-Za-z]{2,}|\d+\.\d+\.\d+\.\d+)(:\d+)(/.*)?$")


@dataclass(frozen=True, slots=True)
class ClientUrl:
    """One address that a browser build points at; `host` in lower case, `port` 0 where it is the scheme's."""

    variable: str
    url: str
    scheme: str
    host: str
    port: int
    location: Location


def load_env(files: Sequence[Path]) -> tuple[Variable, ...]:
    """Read `.env` files, the later over the earlier, each variable with the place that wins.

    Raises ConfigurationError where a file cannot be read.
    """
    found: dict[str, Variable] = {}
    for path in files:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError as error:
            reason = f"cannot read {path}: {error.strerror or error}"
            raise ConfigurationError(reason, Location(str(path)), "check the path in the policy's targets") from None
        known = {name: variable.value for name, variable in found.items() if variable.value is not None}
        variables, _ = parse_env(text, str(path), known)
        found |= {variable.name: variable for variable in variables}
    return tuple(found.values())


def urls(variables: Iterable[Variable], prefixes: Sequence[str] = PREFIXES) -> tuple[ClientUrl, ...]:
    """Return the variables that a browser build carries and whose value is an address."""
    made = []
    for variable in variables:
        if not variable.name.startswith(tuple(prefixes)) or not variable.value:
            continue
        value = variable.value.strip()
        split = _split(value)
        if split is None or not split.hostname:
            continue
        try:
            port = split.port or 0
        except ValueError:
            port = 0
        made.append(ClientUrl(variable.name, value, split.scheme.lower(), split.hostname, port, variable.location))
    return tuple(made)


def _split(value: str) -> SplitResult | None:
    try:
        if _ADDRESS.match(value):
            return urlsplit(value)
        return urlsplit(f"//{value}") if _BARE.match(value) else None
    except ValueError:
        return None
