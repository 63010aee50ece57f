"""Whether the answer to a WebSocket handshake opens the connection."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.browser.cors import values
from auditor.browser.reason import Reason
from auditor.browser.wire import has_nul, received
from auditor.exchange import Exchange, Response


def handshake_check(response: Response, protocols: Sequence[str] = ()) -> Reason | None:
    """Say whether the answer to a handshake opens the connection (RFC 6455 §4.1); None does.

    `protocols` are the subprotocols that were asked for.
    """
    if has_nul(response):
        return Reason.INVALID_RESPONSE
    if response.status is None:
        return Reason.UNDECIDED
    upgrade = values(response, "upgrade")
    if response.status != 101 or (upgrade and upgrade[0].lower() != "websocket"):
        return Reason.HANDSHAKE_REFUSED
    chosen = values(response, "sec-websocket-protocol")
    if (not chosen and not protocols) or (len(chosen) == 1 and chosen[0] in protocols):
        return None
    return Reason.UNDECIDED if response.may_have_more("sec-websocket-protocol") else Reason.SUBPROTOCOL_MISMATCH


def may_open(exchange: Exchange) -> Reason | None:
    """Say whether a page opens a WebSocket with the answer to a handshake that already took place; None: it does.

    The page may ask for whatever subprotocol the server wants. Nothing else in the answer but its status counts: that
    the page's Origin is acceptable is the server's judgement, never the browser's.
    """
    response, _ = received(exchange.outcome)
    if response is None:
        return Reason.NO_RESPONSE
    reason = handshake_check(response)
    return None if reason is Reason.SUBPROTOCOL_MISMATCH else reason
