"""Several Compose files as one: mappings merge, lists append, some keys replace, `!reset` and `!override` are obeyed."""

from __future__ import annotations

from dataclasses import replace

from auditor.tree import Node

# Sequences that stand for mappings, with the separator between key and value (Compose specification, "Merge").
_AS_MAPPING = {
    "environment": "=", "labels": "=", "extra_hosts": "=", "sysctls": "=", "args": "=", "annotations": "=",
    "networks": "", "depends_on": "", "driver_opts": "=",
}  # fmt: skip
_REPLACED = ("command", "entrypoint", "test")


def merge(base: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """Return `base` overridden by `over`, places kept."""
    if over.tag == "!reset":
        return replace(over, scalar=None, text="", items=None, entries=None)
    name = path[-1] if path else ""
    if over.tag == "!override" or name in _REPLACED:
        return over
    if over.is_scalar and over.scalar is None and not base.is_scalar:
        return base
    if name in _AS_MAPPING and len(path) >= 3:
        base, over = as_mapping(base, _AS_MAPPING[name]), as_mapping(over, _AS_MAPPING[name])
    if base.entries is not None and over.entries is not None:
        entries = dict(base.entries)
        for key, child in over.entries.items():
            known = entries.get(key)
            merged = merge(known, child, (*path, key)) if known is not None else child
            if merged.tag == "!reset":
                entries.pop(key, None)
            else:
                entries[key] = merged
        return replace(over, entries=entries, key=base.key)
    if base.items is not None and over.items is not None:
        return replace(over, items=_appended(name, base.items, over.items), key=base.key)
    return over


def _appended(name: str, base: tuple[Node, ...], over: tuple[Node, ...]) -> tuple[Node, ...]:
    if name == "volumes":
        targets = {_volume_target(item) for item in over}
        return (*(item for item in base if _volume_target(item) not in targets), *over)
    shown = {_plain(item) for item in base}
    return (*base, *(item for item in over if _plain(item) not in shown))


def _plain(node: Node) -> str:
    if node.entries is not None:
        return "{" + ",".join(f"{key}:{_plain(child)}" for key, child in sorted(node.entries.items())) + "}"
    if node.items is not None:
        return "[" + ",".join(map(_plain, node.items)) + "]"
    return node.text


def _volume_target(node: Node) -> str:
    if node.entries is not None:
        target = node.get("target")
        return target.text if target else ""
    parts = node.text.split(":")
    if len(parts) > 1 and len(parts[0]) == 1 and parts[1].startswith(("\\", "/")) and len(parts) > 2:
        return parts[2]
    return parts[1] if len(parts) > 1 else parts[0]


def as_mapping(node: Node, separator: str) -> Node:
    """Return a sequence such as `[A=1, B]` as the mapping it stands for; anything else unchanged."""
    if node.items is None:
        return node
    entries: dict[str, Node] = {}
    for item in node.items:
        name, found, value = item.text.partition(separator) if separator else (item.text, "", "")
        child = replace(item, text=value, scalar=value if found else None, key=item.location, quoted=bool(found))
        entries[name] = child
    return replace(node, items=None, entries=entries)
