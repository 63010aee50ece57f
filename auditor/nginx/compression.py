"""`gzip`: which answers are compressed, and what that does to their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Field
from auditor.nginx.settings import Settings
from auditor.nginx.state import Run

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine


def size_matters(engine: Engine, run: Run) -> bool:
    """Whether an answer is compressed if it is large enough, and nobody knows how large it is."""
    settings = engine.settings(run.node)
    unknown = settings.gzip and run.content_length == UNKNOWN_VALUE and not run.further
    if not unknown or not settings.gzip_min_length or not compressible(run, settings):
        return False
    return settings.gzip_vary or accepts_gzip(run.first("accept-encoding"))


def compressible(run: Run, settings: Settings) -> bool:
    """Whether an answer is of a kind that `gzip` compresses, and not known to be too small."""
    if run.status not in {200, 403, 404}:
        return False
    kind = (run.content_type or "").split(";")[0].strip(" ").lower()
    if "*" not in settings.gzip_types and kind not in settings.gzip_types:
        return False
    length = run.content_length
    if length is not None and length.isdigit() and int(length) < settings.gzip_min_length:
        return False
    return not run.encoded


def compress(run: Run, settings: Settings) -> None:
    """Mark the answer with Vary, and compress it where the client accepts that (`ngx_http_gzip_header_filter`)."""
    run.gzip_vary = settings.gzip_vary
    if run.request.version in settings.gzip_versions or not accepts_gzip(run.first("accept-encoding")):
        return
    if "via" in run.header and not _gzip_proxied(run, settings):
        return
    run.content_length = None
    run.ranges = False
    run.drop_last("accept-ranges", spared=settings.headers)
    run.sent = [weakened for line in run.sent if (weakened := _weak(line)) is not None]
    run.add("Content-Encoding", "gzip")


def _weak(line: Field) -> Field | None:
    """Return a header line with a weak entity tag in place of a strong one; None for a tag without quotes."""
    if line.name.lower() != "etag" or (line.value.startswith("W/") and len(line.value) > 2):
        return line
    if not line.value.startswith(('"', UNKNOWN_VALUE)):
        return None
    return Field(line.name, "W/" + line.value, line.made_by, line.layer)


def _gzip_proxied(run: Run, settings: Settings) -> bool:
    """Whether a request that came through a proxy gets a compressed answer (`gzip_proxied`)."""
    words = settings.gzip_proxied
    if "any" in words:
        return True
    if "auth" in words and "authorization" in run.header:
        return True
    names = {line.name.lower(): line.value for line in run.sent}
    if "expires" in names or "cache-control" in names or run.further:
        pick = run.choose(("gzip proxied",), 2) if words else 1
        return pick == 0
    if "no_last_modified" in words and run.last_modified is None and "last-modified" not in names:
        return True
    return "no_etag" in words and "etag" not in names


def accepts_gzip(accepted: str) -> bool:
    """Whether a request accepts gzip (`ngx_http_gzip_accept_encoding`): the word, with a quality above 0."""
    for part in accepted.lower().split(","):
        word, _, options = part.partition(";")
        if word.strip(" ") == "gzip":
            quality = options.replace(" ", "")
            return not quality.startswith("q=") or quality[2:].strip("0.") != ""
    return False
