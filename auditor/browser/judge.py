"""What every browser gives a page: an attack counts if one of them allows it, a protection only if all of them give it."""

from __future__ import annotations

from auditor.browser.cors import cors_check
from auditor.browser.fetching import fetch
from auditor.browser.page import Answer, FetchRequest, FetchResult, Page
from auditor.browser.profile import PROFILES, Profile
from auditor.browser.reason import Reason
from auditor.browser.url import Origin
from auditor.browser.wire import has_nul, received
from auditor.exchange import Exchange, Outcome, Request, Response


def fetch_at_most(
    page: Origin | Page, request: FetchRequest, answer: Answer, *, profiles: tuple[Profile, ...] = PROFILES
) -> FetchResult:
    """Return the result under the profile that gives the page the most: what an attacker can count on somewhere."""
    return max(_under_each(page, request, answer, profiles), key=_gives)


def fetch_at_least(
    page: Origin | Page, request: FetchRequest, answer: Answer, *, profiles: tuple[Profile, ...] = PROFILES
) -> FetchResult:
    """Return the result under the profile that gives the page the least: what an allowed page can count on everywhere."""
    return min(_under_each(page, request, answer, profiles), key=_gives)


def _gives(result: FetchResult) -> tuple[bool, bool, bool, bool]:
    """Order results by what the page gets: reading, perhaps reading, acting, perhaps acting."""
    return result.readable, result.may_be_readable, result.executed, result.may_be_executed


def _under_each(
    page: Origin | Page, request: FetchRequest, answer: Answer, profiles: tuple[Profile, ...]
) -> list[FetchResult]:
    """Run the fetch under each profile, asking for equal requests only once."""
    known: dict[Request, Outcome | Response | None] = {}

    def once(asked: Request) -> Outcome | Response | None:
        if asked not in known:
            known[asked] = answer(asked)
        return known[asked]

    return [fetch(page, request, once, profile=profile) for profile in profiles]


def may_read(page: Origin, exchange: Exchange, *, credentials: bool) -> Reason | None:
    """Say whether a page may read the response of one exchange that already took place; None lets it.

    The exchange's own Origin header is not looked at, so an answer that depends on it must have been got with the
    page's. Preflights and redirects are `fetch`'s business.
    """
    response, _ = received(exchange.outcome)
    if response is None:
        return Reason.NO_RESPONSE
    if has_nul(response):
        return Reason.INVALID_RESPONSE
    target = Origin.parse(exchange.request.url)
    if target is not None and target.same_origin(page):
        return None
    return cors_check(page.serialise(), credentials, response)
