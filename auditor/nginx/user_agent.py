"""What nginx makes of User-Agent lines: the few browsers it treats differently."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from auditor.exchange import Field


def browsers(lines: Iterable[Field]) -> frozenset[str]:
    """Return the browsers that a request's header lines name: "msie", "msie6", "opera", "chrome", "safari"."""
    return _named(tuple(line.value for line in lines if line.name.lower() == "user-agent"))


@lru_cache(maxsize=256)
def _named(agents: tuple[str, ...]) -> frozenset[str]:
    """Read one line after the other (`ngx_http_process_user_agent`): what one has set stays, but Opera is no MSIE."""
    found: set[str] = set()
    for agent in agents:
        at = agent.find("MSIE ")
        if at >= 0 and at + 7 < len(agent):
            found.add("msie")
            if agent[at + 6] == "." and (
                agent[at + 5] in "45" or (agent[at + 5] == "6" and "SV1" not in agent[at + 8 :])
            ):
                found.add("msie6")
        if "Opera" in agent:
            found = {"opera", *(found - {"msie", "msie6"})}
        if at < 0 and "opera" not in found:
            if "Gecko/" in agent:
                continue
            if "Chrome/" in agent:
                found.add("chrome")
            elif "Safari/" in agent and "Mac OS X" in agent:
                found.add("safari")
    return frozenset(found)
