"""The pages nginx writes itself for a status (src/http/ngx_http_special_response.c)."""

from __future__ import annotations

from functools import lru_cache

TITLES = {
    301: "301 Moved Permanently", 302: "302 Found", 303: "303 See Other", 307: "307 Temporary Redirect",
    308: "308 Permanent Redirect", 400: "400 Bad Request", 401: "401 Authorization Required",
    402: "402 Payment Required", 403: "403 Forbidden", 404: "404 Not Found", 405: "405 Not Allowed",
    406: "406 Not Acceptable", 407: "407 Proxy Authentication Required", 408: "408 Request Time-out", 409: "409 Conflict",
    410: "410 Gone", 411: "411 Length Required", 412: "412 Precondition Failed",
    413: "413 Request Entity Too Large", 414: "414 Request-URI Too Large", 415: "415 Unsupported Media Type",
    416: "416 Requested Range Not Satisfiable", 421: "421 Misdirected Request", 429: "429 Too Many Requests",
    498: "404 Not Found", 500: "500 Internal Server Error", 501: "501 Not Implemented", 502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable", 504: "504 Gateway Time-out",
    505: "505 HTTP Version Not Supported", 507: "507 Insufficient Storage",
}  # fmt: skip
NOTED = {
    494: ("400 Request Header Or Cookie Too Large", "Request Header Or Cookie Too Large"),
    495: ("400 The SSL certificate error", "The SSL certificate error"),
    496: ("400 No required SSL certificate was sent", "No required SSL certificate was sent"),
    497: (
        "400 The plain HTTP request was sent to HTTPS port",
        "The plain HTTP request was sent to HTTPS port",
    ),
}
"""Statuses of nginx's own that are sent as 400: the title, and the line under it."""
PADDING = 6 * len("<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n")


@lru_cache(maxsize=512)
def page(status: int, footer: str, version: tuple[int, ...]) -> str | None:
    """Return the page of a status with this line at its foot; None where nginx has none."""
    noted = NOTED.get(status)
    title = noted[0] if noted else TITLES.get(status)
    if title is None or (status == 407 and version < (1, 29, 7)):
        return None
    heading = "400 Bad Request" if noted else title
    line = f"<center>{noted[1]}</center>\r\n" if noted else ""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n{line}"
        f"<hr><center>{footer}</center>\r\n</body>\r\n</html>\r\n"
    )
