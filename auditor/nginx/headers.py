"""What nginx does to the headers of an answer before it sends them, and the order in which they leave."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field
from auditor.nginx.compression import compress, compressible
from auditor.nginx.settings import MoreHeaders, Settings, parse_expires
from auditor.nginx.state import LAYER, Run
from auditor.nginx.template import ScriptError
from auditor.nginx.uri import escape
from auditor.nginx.variables import STALE, not_found, server_address, server_name

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine

SAFE = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
"""The statuses that `add_header` without `always`, and `expires`, apply to (`ngx_http_headers_filter`)."""
DATE = Field("Date", UNKNOWN_VALUE, None, LAYER)
CONDITIONS = ("if_modified_since", "if_none_match", "if_unmodified_since", "if_match")
KEEP_ALIVE = Field("Connection", "keep-alive", None, LAYER)
CLOSE = Field("Connection", "close", None, LAYER)
CHUNKED = Field("Transfer-Encoding", "chunked", None, LAYER)
VARY = Field("Vary", "Accept-Encoding", None, LAYER)
UPGRADE = Field("Connection", "upgrade", None, LAYER)


def filter_headers(engine: Engine, run: Run) -> int:
    """Run the header filters but the last; return 0, or the status that a filter ends the request with instead."""
    settings = engine.settings(run.node)
    if run.err_status:
        run.status = run.err_status
    if run.content_type == "":
        _content_type_of_uri(run, settings)
    if run.status == 200 and run.main and not run.unconditional:
        status = not_modified(run, settings)
        if status:
            return status
    for command in settings.more:
        _more(run, command)
    _add_headers(run, settings)
    _charset(engine, run, settings)
    return 0


def filter_body(engine: Engine, run: Run) -> int:
    """Run the filters that change the body's length; return 0, or the status to end with instead."""
    settings = engine.settings(run.node)
    if settings.gzip and not run.small and compressible(run, settings):
        compress(run, settings)
    return _ranges(run, settings) if run.ranges and run.status == 200 and run.main else 0


def _add_headers(run: Run, settings: Settings) -> None:  # noqa: C901 - follows nginx's own
    """Run expires and add_header (`ngx_http_headers_filter`)."""
    safe = run.status in SAFE
    if not run.main:
        return
    if settings.expires is not None and safe:
        _expires(run, settings)
    for header in settings.headers:
        if not safe and not header.always:
            if run.why is not None:
                run.note(
                    f"add_header {header.name}", header.location, f"is not sent: {run.status} needs the word always"
                )
            continue
        line = header.line
        if header.replaces:
            _replace(run, header.name, header.value(run), header.location)
            continue
        if line is None:
            value = header.value(run)
            if not value:
                if run.why is not None:
                    run.note(f"add_header {header.name}", header.location, "is not sent: its value is empty")
                continue
            line = Field(header.name, value, header.location, LAYER)
        run.sent.append(line)
    if run.why is not None:
        inner = run.node
        while "add_header" not in inner.own and inner.parent is not None:
            inner = inner.parent
        where = f"{inner.label} (line {inner.place.line})" if inner.place else "an inner block"
        for directive in settings.lost:
            run.note(
                " ".join(("add_header", *directive.args)),
                directive.location,
                f"does not apply here: {where} has add_header lines of its own",
            )
        _left_behind(run, settings)


def _left_behind(run: Run, settings: Settings) -> None:
    """Note the header lines of the levels that internal redirects and rewrites have left."""
    told = [line.location for line in settings.headers] + [line.location for line in settings.lost]
    for node in run.left:
        for line in node.settings.headers if node.settings is not None else ():
            if line.location not in told:
                told.append(line.location)
                where = f"{node.label} (line {node.place.line})" if node.place else node.label
                run.note(f"add_header {line.name}", line.location, f"is lost: the request has left {where}")


def _replace(run: Run, name: str, value: str, place: Location) -> None:
    lower = name.lower()
    run.drop(lower)
    if lower == "last-modified":
        run.last_modified = None
    if value:
        run.sent.append(Field(name, value, place, LAYER))


def _content_type_of_uri(run: Run, settings: Settings) -> None:
    """Set the type that the extension of the URI has (`ngx_http_set_content_type`)."""
    run.content_type = type_of(run.uri, settings, parsed=run.parsed)


def type_of(uri: str, settings: Settings, *, parsed: bool) -> str:
    """Return the content type that `types` gives a path.

    `parsed`: the path is still the request's own. What counts as an extension differs a little between the parser
    (`ngx_http_parse_complex_uri`: not after up to three leading dots) and `ngx_http_set_exten` (not a leading dot).
    """
    name = uri.rsplit("/", 1)[-1]
    dot = name.rfind(".")
    if dot < 0 or UNKNOWN_VALUE in name:
        return settings.default_type
    leading = name[: dot + 1].strip(".") == ""
    if (leading and dot <= 2) if parsed else dot == 0:
        return settings.default_type
    return settings.types.get(name[dot + 1 :].lower(), settings.default_type)


def not_modified(run: Run, settings: Settings) -> int:
    """Answer conditional requests (`ngx_http_not_modified_header_filter`); return 412 or 0."""
    asked = run.header
    if not any(name in asked for name in CONDITIONS):
        return 0
    modified, etag = _last_modified(run), _etag(run)
    if "if_unmodified_since" in asked and not _compare(run, "if_unmodified_since", modified, settings.if_modified):
        return 412
    if "if_match" in asked and not _matches(run, asked["if_match"], etag, weak=False):
        return 412
    if "if_modified_since" not in asked and "if_none_match" not in asked:
        return 0
    if "if_modified_since" in asked and not (
        settings.if_modified != "off" and _compare(run, "if_modified_since", modified, settings.if_modified)
    ):
        return 0
    if "if_none_match" in asked and not _matches(run, asked["if_none_match"], etag, weak=True):
        return 0
    run.status = 304
    run.type_before = run.content_type or ""
    run.content_type = run.content_length = None
    run.ranges = False
    run.drop("content-encoding", "accept-ranges")
    return 0


def _last_modified(run: Run) -> str | None:
    lines = [line.value for line in run.sent if line.name.lower() == "last-modified"]
    return run.last_modified or (lines[0] if lines else UNKNOWN_VALUE if run.further else None)


def _etag(run: Run) -> str | None:
    lines = [line.value for line in run.sent if line.name.lower() == "etag"]
    return lines[0] if lines else UNKNOWN_VALUE if run.further else None


def _compare(run: Run, name: str, modified: str | None, mode: str) -> bool:
    """Whether the answer is not newer than the date in a request header."""
    if modified is None:
        return False
    when, given = _time(modified), _time(run.header[name])
    if given is None and UNKNOWN_VALUE not in modified:
        return False
    if when is None or given is None:
        return _open_condition(run, name)
    return when == given if mode == "exact" and name == "if_modified_since" else when <= given


def _time(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few requests have a date

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None


def _matches(run: Run, wanted: str, etag: str | None, *, weak: bool) -> bool:
    """Whether an entity tag is in the list of a request header (`ngx_http_test_if_match`)."""
    if wanted == "*":
        return True
    if etag is None:
        return False
    if UNKNOWN_VALUE in etag:
        return _open_condition(run, wanted)
    tags = [tag.strip(" \t") for tag in wanted.split(",")]
    if weak:
        return etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
    return not etag.startswith("W/") and etag in tags


def _open_condition(run: Run, name: str) -> bool:
    """Follow both ways where the date or tag of the answer is not known."""
    pick = run.choose(("condition", name), 2)
    if pick:
        run.when += ("not-modified",)
    return pick == 1


def _ranges(run: Run, settings: Settings) -> int:
    """Answer a range of a file (`ngx_http_range_header_filter`); return 416 or 0."""
    asked = run.first("range")
    if settings.max_ranges == 0:
        return 0
    if not asked.lower().startswith("bytes=") or len(asked) < 7:
        run.add("Accept-Ranges", "bytes")
        return 0
    pick = run.choose(("range",), 3)
    if pick == 0:
        run.when += ("range-found",)
        run.status = 206
        if "," in asked:
            run.content_type = f"multipart/byteranges; boundary={UNKNOWN_VALUE}"
        else:
            run.add("Content-Range", f"bytes {UNKNOWN_VALUE}")
        return 0
    if pick == 1:
        run.when += ("range-missing",)
        run.add("Content-Range", f"bytes */{UNKNOWN_VALUE}")
        return 416
    run.when += ("range-ignored",)
    run.add("Accept-Ranges", "bytes")
    return 0


def _more(run: Run, command: MoreHeaders) -> None:
    """Apply one headers-more command."""
    if command.statuses and run.status not in command.statuses:
        return
    if command.types and (run.content_type or run.type_before).split(";")[0].strip(" ").lower() not in command.types:
        return
    for name, value in command.fields:
        _more_field(run, command, name, "" if value is None else value(run))


def _more_field(run: Run, command: MoreHeaders, name: str, text: str) -> None:  # noqa: C901 - follows the module's own
    """Set, replace or clear one header (headers-more: `ngx_http_headers_more_headers_out.c`)."""
    lower = name.lower()
    if lower == "content-type":
        run.content_type = text or None
        run.content_type_by = command.location
        run.charset = run.given_charset
        return
    if lower == "content-length":
        run.content_length = None
        run.length_listed = bool(text)
        run.body = None
        run.drop(lower)
        if text:
            run.add(name, text, command.location)
        return
    if lower == "last-modified":
        run.last_modified = None
    if lower in {"server", "date"}:
        run.replaced.add(lower)
    if lower == "content-encoding":
        run.encoded = bool(text)
    run.absent |= {lower}
    if not text:
        if lower == "cache-control" and not any(line.name.lower() == lower for line in run.sent):
            # NOTE: the module adds an empty line where there is none to clear (ngx_http_set_builtin_multi_header)
            run.sent.append(Field(name, "", command.location, LAYER))
            return
        run.silenced |= lower == "cache-control"
        run.sent = [
            line
            for line in run.sent
            if not (fnmatch.fnmatchcase(line.name.lower(), lower) if "*" in lower else line.name.lower() == lower)
        ]
        return
    if command.append:
        run.sent.append(Field(name, text, command.location, LAYER))
        return
    run.silenced &= lower != "cache-control"
    _overwrite(run, name, text, command.location)
    if lower == "location":
        run.redirect = next(line for line in run.sent if line.name.lower() == "location")


def _charset(engine: Engine, run: Run, settings: Settings) -> None:
    """Name the charset of a text (`ngx_http_charset_header_filter`); a variable that is not there ends the connection."""
    value = settings.charset
    if run.override_charset:
        known = run.override_charset.lower() in engine.charsets
        run.charset = run.override_charset if known and run.content_type and run.status not in {301, 302} else ""
        return
    if value is None or run.content_type is None or not run.main or run.given_charset:
        return
    kind, *options = run.content_type.split(";")
    if any(option.strip(" ").lower().startswith("charset=") for option in options):
        return
    if kind.strip(" ").lower() not in settings.charset_types and "*" not in settings.charset_types:
        return
    name = value.parts[0][1] if value.const is None and len(value.parts) == 1 else ""
    read = run.vars.get(STALE + name) if name else None
    if read == "" or (read is None and name and not_found(run, name)):
        raise ScriptError("the variable of charset has no value")
    if run.status not in {301, 302}:
        run.charset = value(run) if read is None else read[1:]


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
    earlier = [line for line in run.sent if line.name.lower() == "expires"][:-1]  # of an upstream, before 1.23
    _overwrite(run, "Expires", expires, place)
    run.sent = [*earlier, *run.sent] if earlier else run.sent
    if not run.silenced:  # headers-more leaves the line it cleared where it is, and that is the one written to
        _overwrite(run, "Cache-Control", control, place)


def _expiry(run: Run, kind: str, time: int) -> tuple[str, str]:
    """Return the values of Expires and Cache-Control."""
    if kind == "epoch":
        return "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"
    if kind == "max":
        return "Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"
    if kind == "daily":
        return UNKNOWN_VALUE, f"max-age={UNKNOWN_VALUE}"
    if kind == "modified" and _last_modified(run) is not None:
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


def lines_of(engine: Engine, run: Run) -> tuple[Field, ...]:  # noqa: C901, PLR0915 - follows nginx's own
    """Put the header lines in the order in which they leave (`ngx_http_header_filter`)."""
    settings = engine.settings(run.node)
    status = run.status
    sent = run.sent
    length = run.content_length
    kind = run.content_type
    modified = run.last_modified if status in {200, 206, 304} else None
    if status == 204 and not run.proxied:
        kind = length = modified = None
    version = run.http
    lines: list[Field] = []
    if "server" not in run.replaced:
        lines.append(settings.server_field)
    if "date" not in run.replaced:
        lines.append(DATE)
    if kind:
        lines.append(content_type_field(kind, run.charset, run.content_type_by))
    chunked = False
    if length is None and not run.length_listed and version == "1.1" and settings.chunked:
        chunked = True
    if (
        settings.trailers
        and version == "1.1"
        and settings.chunked
        and any((line.always or status in SAFE) and line.value.text for line in settings.trailers)
    ):
        chunked, length = True, None
    if status in {204, 304} or status < 200 or run.method == "HEAD":
        chunked = False
    elif length is None and not run.length_listed and not chunked and version.startswith(("0", "1")):
        run.keepalive = False
    if length is not None:
        lines.append(Field("Content-Length", length, None, LAYER))
    if modified is not None:
        lines.append(Field("Last-Modified", modified, None, LAYER))
    redirect = run.redirect
    if redirect is not None and redirect.value.startswith("/") and settings.absolute_redirect:
        sent = [line for line in sent if line is not redirect]
        lines.append(Field("Location", absolute(run, settings) + redirect.value, redirect.made_by, LAYER))
    if chunked:
        lines.append(CHUNKED)
    if version.startswith(("0", "1")):
        if status == 101:
            lines.append(UPGRADE)
        elif run.keepalive:
            lines.append(KEEP_ALIVE)
            if settings.keep_alive_field is not None:
                lines.append(settings.keep_alive_field)
        else:
            lines.append(CLOSE)
    else:
        sent = [line for line in sent if line.name.lower() != "upgrade" or line.layer == LAYER]
    if run.gzip_vary:
        lines.append(VARY)
    lines.extend(sent)
    if "\n" in run.uri or run.breaks:
        lines = broken_lines(lines)
    return tuple(lines)


def broken_lines(lines: list[Field]) -> list[Field]:
    """Split values that hold line breaks: what follows one is a header line of its own to whoever reads it.

    An empty line ends the headers; the rest is body.
    """
    result: list[Field] = []
    for line in lines:
        first, *others = re.split("\r?\n", line.value)
        result.append(Field(line.name, first, line.made_by, line.layer) if others else line)
        for other in others:
            if not other:
                return result
            name, _, value = other.partition(":")
            result.append(Field(name, value.strip(" "), line.made_by, line.layer))
    return result


@lru_cache(maxsize=512)
def content_type_field(kind: str, charset: str, made_by: Location | None) -> Field:
    """Return the Content-Type line."""
    return Field("Content-Type", f"{kind}; charset={charset}" if charset else kind, made_by, LAYER)


def absolute(run: Run, settings: Settings) -> str:
    """Return the scheme, host and port that a Location beginning with a slash gets."""
    host = server_name(run) if settings.server_name_in_redirect else (run.host or server_address(run))
    port = run.listen.port
    usual = 443 if run.request.scheme == "https" else 80
    suffix = f":{port}" if settings.port_in_redirect and port and port != usual else ""
    return f"{run.request.scheme}://{host}{suffix}"


def escaped_name(name: str) -> str:
    """Return a location's name as an automatic redirect writes it."""
    return escape(name)
