"""Cross-origin isolation: Cross-Origin-Resource-Policy on opaque responses, and what COOP and COEP give a page."""

from __future__ import annotations

import re

from auditor.browser.cors import combined
from auditor.browser.page import Page
from auditor.browser.reason import Reason
from auditor.browser.url import Origin
from auditor.exchange import UNKNOWN_VALUE, Response

_ITEM = re.compile(
    r"""([A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*)
        (?:[ ]*;[ ]*[a-z*][a-z0-9_\-.*]*(?:=(?:"(?:[^"\\]|\\["\\])*"|[A-Za-z*?:0-9][!#$%&'*+\-.^_`|~:/0-9A-Za-z?]*))?)*""",
    re.VERBOSE,
)
_OPENER = frozenset({"same-origin", "same-origin-allow-popups", "noopener-allow-popups"})
_EMBEDDER = frozenset({"require-corp", "credentialless"})
_POLICIES = frozenset({"same-origin", "same-site", "cross-origin"})


def corp_check(page: Page, target: Origin, response: Response) -> Reason | None:
    """Run Fetch's "cross-origin resource policy check" for a no-cors response; None lets it through."""
    value = combined(response, "cross-origin-resource-policy")
    if response.may_have_more("cross-origin-resource-policy") or (value and UNKNOWN_VALUE in value):
        return Reason.UNDECIDED
    policy = value if value in _POLICIES else None
    by_embedder = policy is None and page.embedder_policy == "require-corp"
    if by_embedder:
        policy = "same-origin"
    if policy in {None, "cross-origin"} or target.same_origin(page.origin):
        return None
    if policy == "same-site":
        secure_enough = page.origin.scheme == "https" or target.scheme != "https"
        if _schemeless_same_site(page.origin, target) and secure_enough:
            return None
        return Reason.CORP_NOT_SAME_SITE
    return Reason.CORP_NOT_SAME_ORIGIN_BY_COEP if by_embedder else Reason.CORP_NOT_SAME_ORIGIN


def _schemeless_same_site(one: Origin, other: Origin) -> bool:
    """Whether two origins share the registrable domain, whatever their schemes."""
    return not one.opaque and one.same_site(Origin(one.scheme, other.host, other.port))


def token_item(value: str | None) -> str | None:
    """Read a header as a structured-field token with parameters (RFC 9651 §3.3); None where it is nothing of the kind."""
    found = _ITEM.fullmatch(value.strip(" ")) if value is not None else None
    return found[1] if found else None


def opener_policy(page: Origin, response: Response) -> str:
    """Return a document's Cross-Origin-Opener-Policy (HTML): `unsafe-none` unless it is valid and the page secure."""
    value = token_item(combined(response, "cross-origin-opener-policy"))
    return value if value in _OPENER and page.trustworthy else "unsafe-none"


def embedder_policy(page: Origin, response: Response) -> str:
    """Return a document's Cross-Origin-Embedder-Policy (HTML): `unsafe-none` unless it is valid and the page secure."""
    value = token_item(combined(response, "cross-origin-embedder-policy"))
    return value if value in _EMBEDDER and page.trustworthy else "unsafe-none"


def cross_origin_isolated(page: Origin, response: Response) -> bool:
    """Whether a top-level document with these headers is cross-origin isolated."""
    return opener_policy(page, response) == "same-origin" and embedder_policy(page, response) != "unsafe-none"


def severs_opener(page: Origin, response: Response) -> bool:
    """Whether a document opened by a page without a policy of its own is cut off from it (HTML, "COOP values match")."""
    policy = opener_policy(page, response)
    return policy != "unsafe-none"
