"""What a preflight's answer lets a page do, asked of the browser: never read off the header's text."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.browser.cors import preflight_check
from auditor.browser.profile import PROFILES
from auditor.browser.reason import Reason
from auditor.exchange import Response

ANY_METHOD = "BREW"
ANY_HEADER = "x-any-header"
"""What a wildcard stands for: something that nobody lists."""


def lets(response: Response, origin: str, method: str, names: Sequence[str] = ()) -> bool:
    """Whether some browser sends a request with this method and these unsafe header names after this preflight.

    Asked without credentials, which grants the most; what an unmodelled backend may add does not count against it.
    """
    return any(
        preflight_check(method, names, False, response, request_origin=origin, profile=profile)  # noqa: FBT003
        in {None, Reason.UNDECIDED}
        for profile in PROFILES
    )


def refuses(response: Response, method: str, names: Sequence[str] = (), *, credentials: bool) -> Reason | None:
    """Return why some browser does not send such a request after this preflight; None where every browser does."""
    reasons = [preflight_check(method, names, credentials, response, profile=profile) for profile in PROFILES]
    return next((reason for reason in reasons if reason not in {None, Reason.UNDECIDED}), None) or reasons[0]
