"""Cross-origin isolation: Cross-Origin-Resource-Policy on opaque responses, and what COOP and COEP give a page."""

from __future__ import annotations

from auditor.browser.cors import combined
from auditor.browser.page import Page
from auditor.browser.reason import Reason
from auditor.browser.url import Origin
from auditor.exchange import UNKNOWN_VALUE, Response

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
