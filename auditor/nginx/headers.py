"""What nginx does to the headers of an answer before it sends them, and the order in which they leave."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field
from auditor.nginx.settings import MoreHeaders, Settings, parse_expires
from auditor.nginx.state import LAYER, Run
from auditor.nginx.template import ScriptError
from auditor.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine

SAFE = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
"""The statuses that `add_header` without `always`, and `expires`, apply to (`ngx_http_headers_filter`)."""
DATE = Field("Date", UNKNOWN_VALUE, None, LAYER)
KEEP_ALIVE = Field("Connection", "keep-alive", None, LAYER)
CLOSE = Field("Connection", "close", None, LAYER)
CHUNKED = Field("Transfer-Encoding", "chunked", None, LAYER)
VARY = Field("Vary", "Accept-Encoding", None, LAYER)
UPGRADE = Field("Connection", "upgrade", None, LAYER)


def filter_headers(engine: Engine, run: Run) -> tuple[Field, ...]:
    """Run the header filters; return the header lines in the order they leave."""
    settings = engine.settings(run.node)
    if run.err_status:
        run.status = run.err_status
    if run.content_type == "":
        _content_type_of_uri(run, settings)
    not_modified(run, settings)
    if settings.more:
        for command in settings.more:
            _more(run, command)
    _charset(run, settings)
    safe = run.status in SAFE
    if settings.expires is not None and safe:
        _expires(run, settings)
    sent = run.sent
    for header in settings.headers:
        if not safe and not header.always:
            if run.why is not None:
                run.note(
                    f"add_header {header.name}", header.location, f"is not sent: {run.status} needs the word always"
                )
            continue
        line = header.line
        if line is None:
            value = header.value(run)
            if not value:
                if header.value.const is not None and header.name.lower() in {"etag", "last-modified"}:
                    _replace(run, header.name, "", header.location)
                    sent = run.sent
                continue
            line = Field(header.name, value, header.location, LAYER)
        lower = header.name.lower()
        if lower in {"etag", "last-modified"}:
            _replace(run, header.name, line.value, header.location)
            sent = run.sent
        else:
            sent.append(line)
    if run.why is not None:
        for directive in settings.lost:
            run.note(
                " ".join(("add_header", *directive.args)),
                directive.location,
                "does not apply here: an inner block has add_header lines of its own",
            )
    return _final(run, settings)


def _replace(run: Run, name: str, value: str, place: Location) -> None:
    lower = name.lower()
    run.drop(lower)
    if lower == "last-modified":
        run.last_modified = None
    if value:
        run.sent.append(Field(name, value, place, LAYER))


def _content_type_of_uri(run: Run, settings: Settings) -> None:
    """Set the type that the extension of the URI has (`ngx_http_set_content_type`)."""
    run.content_type = type_of(run.uri, settings)


def type_of(uri: str, settings: Settings) -> str:
    """Return the content type that `types` gives a path; a name that begins with its only dot has no extension."""
    name = uri.rsplit("/", 1)[-1]
    dot = name.rfind(".")
    if dot <= 0 or UNKNOWN_VALUE in name:
        return settings.default_type
    return settings.types.get(name[dot + 1 :].lower(), settings.default_type)


def not_modified(run: Run, settings: Settings) -> None:
    """Answer conditional requests (`ngx_http_not_modified_header_filter`) as far as the answer's dates are known."""
    del settings
    if run.status != 200 or not run.main:
        return


def _more(run: Run, command: MoreHeaders) -> None:
    """Apply one headers-more command."""
    if command.statuses and run.status not in command.statuses:
        return
    if command.types and (run.content_type or "").split(";")[0].strip(" ").lower() not in command.types:
        return
    for name, value in command.fields:
        _more_field(run, command, name, "" if value is None else value(run))


def _more_field(run: Run, command: MoreHeaders, name: str, text: str) -> None:
    lower = name.lower()
    if lower == "content-type":
        if text or not command.append:
            run.content_type = text or None
            run.content_type_by = command.location
            run.charset = ""
        return
    if lower == "content-length":
        run.content_length = text or None
        return
    if lower == "last-modified":
        run.last_modified = None
    if lower == "location" and run.redirect is not None:
        run.redirect = None
    if not command.append:
        run.sent = [
            line
            for line in run.sent
            if not (fnmatch.fnmatchcase(line.name.lower(), lower) if "*" in lower else line.name.lower() == lower)
        ]
        run.absent |= {lower}
    if text:
        line = Field(name, text, command.location, LAYER)
        if lower == "location":
            run.redirect = line
        run.sent.append(line)


def _charset(run: Run, settings: Settings) -> None:
    if settings.charset is None or run.content_type is None or run.charset:
        return
    if "charset=" in run.content_type.lower():
        return
    if run.content_type.lower() in settings.charset_types and run.content_length is not None:
        run.charset = settings.charset(run)


def _expires(run: Run, settings: Settings) -> None:
    """Set Expires and Cache-Control (`ngx_http_set_expires`)."""
    if settings.expires is None:
        return
    kind, time, value, place = settings.expires
    if value is not None:
        text = value(run)
        if UNKNOWN_VALUE in text:
            run.doubt("the value of expires is not decided by the configuration", place, "header:cache-control")
            return
        parsed = parse_expires(text)
        if parsed is None or parsed[0] == "off":
            return
        modified = kind == "modified"
        kind, time = parsed
        kind = "modified" if modified and kind == "time" else kind
    expires, control = _expiry(run, kind, time)
    _overwrite(run, "Expires", expires, place)
    _overwrite(run, "Cache-Control", control, place)


def _expiry(run: Run, kind: str, time: int) -> tuple[str, str]:
    """Return the values of Expires and Cache-Control."""
    if kind == "epoch":
        return "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"
    if kind == "max":
        return "Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"
    if kind == "daily":
        return UNKNOWN_VALUE, f"max-age={UNKNOWN_VALUE}"
    if kind == "modified":
        if run.last_modified is not None or any(line.name.lower() == "last-modified" for line in run.sent):
            return UNKNOWN_VALUE, UNKNOWN_VALUE
    if time == 0 and kind != "modified":
        return UNKNOWN_VALUE, "max-age=0"
    if time < 0:
        return UNKNOWN_VALUE, "no-cache"
    return UNKNOWN_VALUE, f"max-age={time}"


def _overwrite(run: Run, name: str, value: str, place: Location) -> None:
    """Give the first line of this name a new value and remove the others; append where there is none."""
    lower = name.lower()
    line = Field(name, value, place, LAYER)
    result: list[Field] = []
    done = False
    for old in run.sent:
        if old.name.lower() == lower:
            if not done:
                result.append(Field(old.name, value, place, LAYER))
                done = True
            continue
        result.append(old)
    if not done:
        result.append(line)
    run.absent |= {lower}
    run.sent = result


def _final(run: Run, settings: Settings) -> tuple[Field, ...]:
    """Put the lines in the order of `ngx_http_header_filter`."""
    status = run.status
    sent = run.sent
    length = run.content_length
    kind = run.content_type
    modified = run.last_modified
    if status == 204:
        kind = length = modified = None
    if status == 304:
        length = None
    names = {line.name.lower(): line for line in sent if line.made_by is None and line.layer != LAYER}
    vary = settings.gzip_vary and settings.gzip and _gzip_ok(run, settings)
    lines: list[Field] = []
    if "server" not in names and not run_has(run, "server"):
        lines.append(settings.server_field)
    if "date" not in names:
        lines.append(DATE)
    if kind:
        text = kind + (f"; charset={run.charset}" if run.charset else "")
        lines.append(Field("Content-Type", text, run.content_type_by, LAYER))
    chunked = False
    if length is not None:
        lines.append(Field("Content-Length", length, None, LAYER))
    if modified is not None:
        lines.append(Field("Last-Modified", modified, None, LAYER))
    redirect = run.redirect
    if redirect is not None and redirect.value.startswith("/") and settings.absolute_redirect:
        sent = [line for line in sent if line is not redirect]
        lines.append(Field("Location", absolute(run, settings) + redirect.value, redirect.made_by, LAYER))
    version = run.request.version
    if length is None and status not in {204, 304} and status >= 200 and run.method != "HEAD":
        if version == "1.1" and settings.chunked:
            chunked = True
        elif version in {"1.0", "0.9"} or not settings.chunked:
            run.keepalive = False
    if settings.trailers and version == "1.1" and status not in {204, 304} and run.method != "HEAD":
        chunked = True
        lines = [line for line in lines if line.name != "Content-Length"]
    if chunked:
        lines.append(CHUNKED)
    if version.startswith(("1", "0")):
        if status == 101:
            lines.append(UPGRADE)
        elif run.keepalive and settings.keepalive:
            lines.append(KEEP_ALIVE)
            if settings.keep_alive_field is not None:
                lines.append(settings.keep_alive_field)
        else:
            lines.append(CLOSE)
    if vary:
        lines.append(VARY)
    lines.extend(sent)
    return tuple(lines)


def run_has(run: Run, name: str) -> bool:
    """Whether a directive other than add_header has put this header in nginx's own place."""
    del run, name
    return False


def _gzip_ok(run: Run, settings: Settings) -> bool:
    """Whether gzip marks the answer with Vary (H9 of the rule book)."""
    if run.status not in {200, 403, 404} or any(line.name.lower() == "content-encoding" for line in run.sent):
        return False
    length = run.content_length
    if length is not None and length.isdigit() and int(length) < settings.gzip_min_length:
        return False
    kind = (run.content_type or "").split(";")[0].strip(" ").lower()
    return bool(kind) and (kind in settings.gzip_types or "*" in settings.gzip_types)


def absolute(run: Run, settings: Settings) -> str:
    """Return the scheme, host and port that a Location beginning with a slash gets."""
    from auditor.nginx.variables import server_name  # noqa: PLC0415 - variables need headers

    host = server_name(run) if settings.server_name_in_redirect else (run.host or "")
    if not host:
        host = run.listen.address if run.listen.address not in {"*", "[::]"} else UNKNOWN_VALUE
    port = run.listen.port
    usual = 443 if run.request.scheme == "https" else 80
    suffix = f":{port}" if settings.port_in_redirect and port and port != usual else ""
    return f"{run.request.scheme}://{host}{suffix}"


def escaped_name(name: str) -> str:
    """Return a location's name as an automatic redirect writes it."""
    return escape(name)
