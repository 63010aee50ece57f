"""Compares the sizes of the buffers that a proxying location uses (ngx_http_proxy_merge_loc_conf and its likes)."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.nginx.arguments import number, size

SIZES = ("buffer_size", "buffers", "busy_buffers_size", "temp_file_write_size", "max_temp_file_size")
"""The directives that have to fit each other, without the prefix of their module."""


def misfit(
    one: Sequence[str], many: Sequence[str], busy: Sequence[str], written: Sequence[str], most: Sequence[str]
) -> str:
    """Return what is wrong with the sizes of buffers together, "*" for the prefix of their names, or ""."""
    single = _size(one, 4096)
    count = (number(many[0]) if many else 8) or 0
    each = _size(many[1:], 4096)
    if not single or not count or not each:
        return ""
    largest = max(single, each)
    in_use = _size(busy, 2 * largest)
    at_once = _size(written, 2 * largest)
    in_file = _size(most, largest, "kKmMgG")
    if count < 2:
        return '"*_buffers" has fewer than two buffers'
    if in_use < largest:
        return '"*_busy_buffers_size" is smaller than a buffer'
    if in_use > (count - 1) * each:
        return '"*_busy_buffers_size" is larger than all "*_buffers" but one'
    if at_once < largest:
        return '"*_temp_file_write_size" is smaller than a buffer'
    if in_file and in_file < largest:
        return '"*_max_temp_file_size" is neither 0 nor as large as a buffer'
    return ""


def _size(args: Sequence[str], default: int, units: str = "kKmM") -> int:
    """Return the size that the first argument states, or a default."""
    value = size(args[0], units) if args else default
    return default if value is None else value
