"""The way in and the way out: what Traefik makes of a client's request, and the request it sends upstream."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from urllib.parse import quote_plus

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field, Headers, Outcome, Request, amended
from auditor.traefik import matching
from auditor.traefik.flow import LAYER, Flow, answer, canonical, escape_path, only, set_path, to_request, undecided
from auditor.traefik.model import Entrypoint, Server, Service

# The headers that Traefik manages (pkg/middlewares/forwardedheaders): a client's own are dropped unless trusted.
MANAGED = frozenset(
    (
        "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server",
        "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Tls-Client-Cert",
        "X-Forwarded-Tls-Client-Cert-Info", "X-Real-Ip",
    )
)  # fmt: skip
_HOP_BY_HOP = frozenset(
    ("Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Trailer",
     "Transfer-Encoding", "Upgrade", "Te")
)  # fmt: skip
_RESERVED = frozenset(f"%{byte:02X}" for byte in b":/?#[]@!$&'()*+,;=%")
_PORT = re.compile(r":(\d+)$")
_HOST_CHARACTERS = re.compile(r"[A-Za-z0-9._\-:\[\]]*")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
VALID_HOST = re.compile(r"^[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]*$")


def enter(request: Request, point: Entrypoint) -> Flow | tuple[Outcome, ...]:
    """Turn a request into what the routers see, or into the answer that Go's server gives by itself.

    Source: net/http and Traefik's entrypoint handlers (path sanitising, X-Forwarded-*); measured on 3.7.
    """
    hosts = request.headers.all("Host")
    if len(hosts) > 1 or (not hosts and request.version != "1.0") or not all(VALID_HOST.match(host) for host in hosts):
        return answer(400, UNKNOWN_VALUE, kind="error")
    if not request.target.startswith("/"):
        return undecided("only targets that begin with / are modelled", point.location)
    url = _url(request.target, point.sanitize_path, point.encode_semicolons)
    if url is None:
        return answer(400, UNKNOWN_VALUE, kind="error")
    fields = [
        Field(name, line.value.strip(" \t"), line.made_by, line.layer)
        for line in request.headers.fields
        if (name := canonical(line.name)) != "Host"
    ]
    flow = amended(
        url,
        method=request.method,
        host=hosts[0].strip() if hosts else "",
        headers=Headers(tuple(fields)),
        client=request.client,
        tls=request.scheme == "https",
        version=request.version,
        body_length=request.body_length,
    )
    return _forwarded(flow, point)


@lru_cache(maxsize=4096)
def _url(target: str, sanitize: bool, encode: bool) -> Flow | None:
    """Return the URL of a flow as Go reads a target and the entrypoint cleans it; None where it is malformed."""
    path, mark, query = target.partition("?")
    split = None if _UNPRINTABLE.search(target) else set_path(path)
    if split is None:
        return None
    flow = Flow(
        "", "", split[0], split[1], query, target, Headers(), "", tls=False, force_query=bool(mark) and not query
    )
    flow = _sanitised(flow) if sanitize else _normalised(flow)
    if ";" in query:
        flow = amended(flow, query=query.replace(";", "%3B" if encode else "&"))
    return amended(flow, uri=flow.request_uri) if encode else flow


def _normalised(flow: Flow) -> Flow:
    if not flow.raw_path:
        return flow
    raw = re.sub(r"%[0-9A-Fa-f]{2}", lambda found: _normal(found[0].upper()), flow.raw_path)
    return flow.with_path(flow.path, raw)


def _sanitised(flow: Flow) -> Flow:
    flow = _normalised(flow)
    escaped = flow.escaped_path
    clean = posixpath.normpath("/" + escaped.lstrip("/"))
    if escaped.endswith("/") and not clean.endswith("/"):
        clean += "/"
    if clean == escaped and not flow.raw_path and flow.uri == flow.request_uri:
        return flow
    split = set_path(clean)
    return flow.with_path(*split) if split is not None else flow


_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")


def _normal(escape: str) -> str:
    byte = int(escape[1:], 16)
    return chr(byte) if byte in _UNRESERVED else escape


def _managed(name: str) -> bool:
    return name.startswith("X") and canonical(name.replace("_", "-")) in MANAGED


def _forwarded(flow: Flow, point: Entrypoint) -> Flow:
    """Put down what Traefik tells about the client; the headers that it manages are a trusted client's or its own."""
    place, lines = point.location, list(flow.headers.fields)
    if not (point.trust_all or matching.in_networks(flow.client, point.trusted)):
        lines = [line for line in lines if not _managed(line.name)]
    told = {line.name: line.value for line in reversed(lines) if line.name.startswith("X-")}

    def put(name: str, value: str, place: Location | None) -> None:
        if name in told:
            lines[:] = [line for line in lines if line.name != name]
        told[name] = value
        lines.append(Field(name, value, place, LAYER))

    if not told.get("X-Real-Ip"):
        put("X-Real-Ip", flow.client, place)
    if not told.get("X-Forwarded-Proto"):
        base = "ws" if is_websocket(flow) else "http"
        put("X-Forwarded-Proto", base + ("s" if flow.tls else ""), place)
    if not told.get("X-Forwarded-Port"):
        port = _PORT.search(flow.host)
        secure = flow.tls or told["X-Forwarded-Proto"] in {"https", "wss"}
        put("X-Forwarded-Port", port[1] if port else "443" if secure else "80", place)
    if not told.get("X-Forwarded-Host") and flow.host:
        put("X-Forwarded-Host", flow.host, place)
    if "X-Forwarded-For" in told:
        put("X-Forwarded-For", ", ".join(line.value for line in lines if line.name == "X-Forwarded-For"), None)
    put("X-Forwarded-Server", UNKNOWN_VALUE, place)
    return amended(flow, headers=_connection(lines))


def _connection(lines: list[Field]) -> Headers:
    headers = Headers(tuple(lines))
    listed = [token.strip() for line in lines if line.name == "Connection" for token in line.value.split(",")]
    if not listed:
        return headers
    upgrade = (headers.get("Upgrade") or "") if any(token.lower() == "upgrade" for token in listed) else ""
    dropped = [token for token in listed if token and not _managed(canonical(token))]
    headers = headers.without("Connection", *dropped)
    return only(only(headers, "Upgrade", upgrade), "Connection", "Upgrade") if upgrade else headers


def is_websocket(flow: Flow) -> bool:
    """Whether the request asks for a WebSocket."""
    if "Connection" not in [line.name for line in flow.headers.fields]:
        return False
    tokens = [token.strip().lower() for token in flow.header("Connection").split(",")]
    return "upgrade" in tokens and "websocket" in [token.strip().lower() for token in flow.header("Upgrade").split(",")]


def routing_path(flow: Flow) -> str:
    """Return the path that rules see: percent escapes are decoded except those of reserved characters."""
    escaped = flow.escaped_path
    if "%" not in escaped:
        return escaped

    def decode(found: re.Match[str]) -> str:
        return found[0] if found[0] in _RESERVED else chr(int(found[0][1:], 16))

    return re.sub(r"%[0-9A-Fa-f]{2}", decode, escaped)


def routing_host(host: str) -> str:
    """Return the host that rules see: in lower case, without a port."""
    if ":" in host:
        head, _, port = host.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        plain = ":" not in head or (head.startswith("[") and head.endswith("]"))
        if bracketed:
            host = host[1:-1]
        elif plain and "]" not in port:
            host = head.strip("[]")
    return host.strip().lower()


def view(flow: Flow) -> matching.View:
    """Return what the rules look at."""
    return matching.View(
        method=flow.method,
        host=routing_host(flow.host),
        path=routing_path(flow),
        query=flow.query,
        headers=flow.headers,
        client=flow.client,
        full_path=flow.escaped_path,
    )


def upstream(flow: Flow, server: Server, service: Service) -> Request:
    """Return the request that Traefik sends to one server of a service (pkg/proxy/httputil, net/http/httputil)."""
    lines = [line for line in flow.headers.fields if line.name not in _HOP_BY_HOP]
    names = {line.name for line in flow.headers.fields}
    if "Te" in names and "trailers" in (token.strip().lower() for token in flow.header("Te").split(",")):
        lines.append(Field("Te", "trailers"))
    if "Connection" in names and is_websocket(flow):
        lines += (Field("Connection", "Upgrade"), Field("Upgrade", flow.header("Upgrade")))
    if flow.client and not flow.no_forwarded_for:
        value = flow.client
        if "X-Forwarded-For" in names:
            value = ", ".join((*flow.headers.all("X-Forwarded-For"), value))
            lines = [line for line in lines if line.name != "X-Forwarded-For"]
        lines.append(Field("X-Forwarded-For", value, service.location, LAYER))
    host = flow.host if service.pass_host else server.authority
    if not _HOST_CHARACTERS.fullmatch(host):
        host = UNKNOWN_VALUE  # net/http cleans what it takes for malformed
    headers = Headers((Field("Host", host, service.location, LAYER), *lines))
    sent = flow
    if server.preserve_path:
        base = "/" + server.url.partition("://")[2].partition("/")[2].partition("?")[0]
        tail = flow.uri.partition("?")[0]
        joined = base + tail[1:] if base.endswith("/") and tail.startswith("/") else base + tail
        joined = f"{base}/{tail}" if not base.endswith("/") and not tail.startswith("/") else joined
        split = set_path(joined)
        sent = flow.with_path(*split) if split else flow
    path, mark, query = sent.uri.partition("?")
    if not flow.uri.startswith("/"):
        # The URI does not parse, so the query is the cleaned one of the URL (net/http/httputil, cleanQueryParams).
        query = cleaned(sent.query)
        mark = "?" if query or sent.force_query else ""
    target = path + (mark + query.replace(";", "&") if query or mark else "")
    return to_request(sent, target, server.address, server.scheme, headers)


def cleaned(query: str) -> str:
    """Return a query as Go's reverse proxy does: rewritten in order of names where part of it is malformed."""
    if not re.search(r";|%(?![0-9A-Fa-f]{2})", query):
        return query
    pairs = sorted(matching.parse_query(query), key=lambda pair: pair[0])
    return "&".join(f"{quote_plus(key, safe='-_.~')}={quote_plus(value, safe='-_.~')}" for key, value in pairs)


__all__ = [
    "MANAGED",
    "VALID_HOST",
    "enter",
    "escape_path",
    "is_websocket",
    "routing_host",
    "routing_path",
    "upstream",
    "view",
]
