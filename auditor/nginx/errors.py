"""What nginx does with a status that ends a request: error pages, redirects, its own page, or a closed connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Action, Unknown
from auditor.nginx.model import Node
from auditor.nginx.pages import PADDING, page
from auditor.nginx.rewrite import REDIRECTS, set_location
from auditor.nginx.settings import ErrorPage
from auditor.nginx.state import Run, Undecided

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine, Phase

CLOSING = frozenset({400, 413, 414, 495, 496, 497, 500, 501})
CLOSED = frozenset({408, 444, 499})


def finish(engine: Engine, run: Run, status: int) -> Phase | None:
    """End a request with a status (`ngx_http_finalize_request`); return the phase that an error page leads to."""
    if status in CLOSED:
        return engine.close(run, status)
    return special(engine, run, status)


def special(engine: Engine, run: Run, status: int) -> Phase | None:
    """Answer a status by its error page or nginx's own page (`ngx_http_special_response_handler`)."""
    settings = engine.settings(run.node)
    run.err_status = status
    run.proxied = False
    if status in CLOSING:
        run.keepalive = False
    run.content_type = None
    run.body = None
    if not run.error_page and settings.error_pages and run.uri_changes:
        if not settings.recursive_error_pages:
            run.error_page = True
        for candidate in settings.error_pages:
            if candidate.status == status:
                return _error_page(engine, run, candidate)
    elif run.why is not None and settings.error_pages and any(one.status == status for one in settings.error_pages):
        run.note("error_page", settings.error_pages[0].location, f"is not consulted again for {status}")
    if run.action.kind not in {"redirect", "return", "deny"}:
        run.action = Action("redirect" if status in REDIRECTS else "error", run.action.upstream)
    return own_page(engine, run, status)


def own_page(engine: Engine, run: Run, status: int) -> Phase | None:
    """Send nginx's own page."""
    settings = engine.settings(run.node)
    text = page(status, settings.footer, engine.version)
    run.content_length = run.body_read = "0"
    if status in {494, 495, 496, 497}:
        run.err_status = 400
    if text is not None:
        run.content_type = "text/html"
        run.charset = run.given_charset
        run.content_type_by = None
        size = len(text)
        if settings.msie_padding and status >= 400 and _padded(run):
            size += PADDING
            text = None
        run.content_length = str(size)
        run.body = text
    else:
        run.body = ""
    run.last_modified = None
    run.drop_last("last-modified", "etag")
    run.drop_last("accept-ranges", spared=settings.headers)
    run.ranges = False
    return engine.send(run)


def _padded(run: Run) -> bool:
    return run.request.version != "0.9" and not run.browsers.isdisjoint({"msie", "chrome"})


def _error_page(engine: Engine, run: Run, chosen: ErrorPage) -> Phase | None:
    """Go where an `error_page` points (`ngx_http_send_error_page`)."""
    if chosen.overwrite >= 0:
        run.err_status = chosen.overwrite
    target = chosen.value(run)
    shown = "the target's own status" if chosen.overwrite == 0 else str(run.err_status)
    if target.startswith("/"):
        args = chosen.args
        if chosen.value.const is None:
            target, _, args = target.partition("?")
        if not run.head:
            run.method = "GET"
        run.note(chosen.text, chosen.location, f"internal redirect to {target}; the status will be {shown}")
        return engine.redirect(run, target, args)
    if target.startswith("@"):
        run.note(chosen.text, chosen.location, f"goes on in {target}; the status will be {shown}")
        return engine.named(run, target)
    if target.startswith(UNKNOWN_VALUE):
        raise Undecided(Unknown("where this error page leads is not decided", chosen.location))
    set_location(run, target, chosen.location)
    if chosen.overwrite not in REDIRECTS:
        run.err_status = 302
    run.note(chosen.text, chosen.location, f"redirects to {target} with {run.err_status}")
    run.action = Action("redirect")
    return own_page(engine, run, run.err_status)


def selected_place(node: Node) -> Node:
    """Return the node that a person would call the selected block: the location, or the server."""
    return node.enclosing()
