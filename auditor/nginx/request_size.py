"""How long a request line and header lines may be: the buffers that nginx reads them into."""

from __future__ import annotations

from auditor.dataclass import dataclass
from auditor.exchange import Field
from auditor.nginx.model import Node
from auditor.nginx.settings import size
from auditor.sealed import ReadError, is_sealed, longest

FIRST = 1024
"""Bytes of the buffer that a connection begins with, unless `client_header_buffer_size` says otherwise."""
AROUND = 4
"""Bytes of a header line beside its name and value: colon, space and line end."""
_DIGITS = 16


@dataclass(slots=True)
class Buffers:
    """The buffers of one request while it is read (`ngx_http_alloc_large_header_buffer`): what is left of the last one."""

    room: int
    used: int = 0

    def take(self, line: int, server: Node) -> bool:
        """Read a line of so many bytes, its end included; False where it does not fit any more.

        A line that does not fit the rest of a buffer moves to the next large one as a whole.
        """
        while line > self.room:
            count, length = _large(server)
            begun = self.room
            if (begun and begun >= length) or self.used >= count:
                return False
            self.used += 1
            self.room = length
            if begun and line > length:
                return False
        self.room -= line
        return True


def buffers_for(server: Node, request_line: int, headers: tuple[Field, ...]) -> Buffers | None:
    """Return the buffers that a request is read into, None where the first is enough for all of it."""
    line = server.last("client_header_buffer_size")
    first = FIRST if line is None or not line.args else size(line.args[0]) or FIRST
    whole = request_line + 2
    for field in headers:
        whole += len(field.name) + longest(field.value) + AROUND
    return Buffers(first) if whole > first else None


def too_large(status: int, headers: tuple[Field, ...]) -> int:
    """Return the status of a request that does not fit.

    Raises:
        ReadError: it might fit with a shorter value in place of one that is sealed. (The reverse cannot be: lines that
            are shorter take no more buffers.)
    """
    if any(is_sealed(field.value) for field in headers):
        raise ReadError
    return status


def _large(server: Node) -> tuple[int, int]:
    """Return how many large buffers a server allows, and how long each is."""
    line = server.last("large_client_header_buffers")
    if line is None or len(line.args) < 2 or not line.args[0].isdigit() or len(line.args[0]) > _DIGITS:
        return 4, 8192
    return int(line.args[0]), size(line.args[1]) or 8192
