"""What a generated configuration declares before its servers: maps, geo, split_clients, upstreams, limit zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nginx_tree import Node, block, directive
from nginx_words import ORIGINS, PATHS, SERVER_NAMES, VALUE_REGEXES, VALUES

if TYPE_CHECKING:
    from nginx_strategies import Writer


def maps(w: Writer) -> list[Node]:
    """Write map, geo and split_clients blocks; the later may use the earlier."""
    nodes = []
    for number in range(w.dice.weighted([(35, 0), (30, 1), (20, 2), (15, 3)])):
        made = w.dice.weighted([(70, _map), (12, _geo), (12, _split)])
        nodes.append(made(w, number))
    if w.dice.chance(10):
        entries = [
            directive("default", "@UP@"),
            directive("down", "@DOWN@"),
            directive("x", ""),
            directive("1", "@UP2@/fixed"),
        ]
        nodes.append(block("map", "$arg_u", "$vup", of=entries))
        w.chosen_upstream = True
    return nodes


def _map(w: Writer, number: int) -> Node:
    name, hosts = f"m{number}", w.dice.chance(20)
    source = "$host" if hosts else w.value(captures=False, words=("x",))
    if w.dice.chance(60) and not hosts:
        source = "$" + w.variable()
    entries = [directive("hostnames")] if hosts else []
    if w.dice.chance(10):
        entries.append(directive("volatile"))
    results = (
        "",
        "0",
        "1",
        "yes",
        "x y",
        "https://ok.test",
        "$1",
        "$http_origin",
        "$arg_q",
        "$cap",
        "[$2]",
        *(f"${own}" for own in w.own),
    )
    entries += [directive(key, w.dice.pick(results)) for key in _keys(w, hosts=hosts)]
    if w.dice.chance(70):
        entries.insert(w.dice.below(len(entries) + 1), directive("default", w.dice.pick(results)))
    w.own.append(name)
    return block("map", source, f"${name}", of=entries)


def _keys(w: Writer, *, hosts: bool) -> list[str]:
    """Choose keys that nginx takes together."""
    keys: dict[str, None] = {}
    for _ in range(w.dice.below(5)):
        kind = w.dice.weighted([(50, "word"), (40, "regex"), (5, "escape")])
        if kind == "regex":
            keys[w.dice.pick(["~", "~*", "~"]) + w.dice.pick((*VALUE_REGEXES, w.path_regex()))] = None
        elif kind == "escape":
            keys[w.dice.pick(["\\default", "\\~a"])] = None
        else:
            pool = (
                (*SERVER_NAMES[:5], ".example.com", "mail.*")
                if hosts
                else (*VALUES, *ORIGINS[:3], *PATHS[:8], "GET", "POST")
            )
            key = w.dice.pick(pool)
            if key.lower() not in {k.lower() for k in keys} and not (hosts and (key.startswith("~") or not key)):
                keys[key] = None
    if hosts and ".b.test" in keys:
        keys.pop("b.test", None)
    return list(keys)


def _geo(w: Writer, number: int) -> Node:
    name = f"g{number}"
    nets = w.dice.some(
        ["127.0.0.0/8", "127.0.0.2", "127.0.0.2/31", "10.0.0.0/8", "0.0.0.0/1", "::1", "2001:db8::/32"], 4
    )
    entries = [directive(net, w.dice.pick(["1", "0", "near", ""])) for net in nets]
    if w.dice.chance(60):
        entries.append(directive("default", w.dice.pick(["far", "0", ""])))
    if w.dice.chance(10):
        entries.append(directive("proxy", "127.0.0.1"))
    w.own.append(name)
    source = w.dice.weighted([(60, ()), (20, ("$arg_q",)), (20, ("$http_x_forwarded_for",))])
    return block("geo", *source, f"${name}", of=entries)


def _split(w: Writer, number: int) -> Node:
    name = f"s{number}"
    w.own.append(name)
    entries = [
        directive("30%", "low"),
        directive("20.5%", "mid"),
        directive(w.dice.pick(["*", "49.5%"]), w.dice.pick(["rest", ""])),
    ]
    return block("split_clients", w.value(captures=False), f"${name}", of=entries)


def upstreams(w: Writer) -> list[Node]:
    """Write upstream blocks; peers never count as failed, so that answers do not depend on earlier requests."""
    nodes = []
    for name in w.dice.some([*_PEERS], 2):
        w.upstreams.append(name)
        nodes.append(block("upstream", name, of=[*_balancing(w, name), *_peers(name)]))
    return nodes


_PEERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "up": (("@UP@",),),
    "Up.Test": (("@UP@",), ("@UP@",)),
    "down": (("@DOWN@",),),
    "pair": (("@UP@",), ("@UP2@", "weight=2")),
    "spare": (("@DOWN@",), ("@UP2@", "backup")),
    "failing": (("@UP@",), ("@DOWN@",)),
    "parked": (("@UP@", "down"), ("@UP2@",)),
    "none": (("@UP@", "down"),),
}
"""Upstream blocks: the servers of each with their parameters."""


def _peers(name: str) -> list[Node]:
    return [directive("server", *server, "max_fails=0") for server in _PEERS[name]]


def _balancing(w: Writer, name: str) -> list[Node]:
    methods = [("least_conn",), ("keepalive", "4"), ("random",), ("ip_hash",), ("hash", "$arg_q")]
    return [directive(*w.dice.pick(methods[: 2 if name == "spare" else 5]))] if w.dice.chance(25) else []


def zones(w: Writer) -> list[Node]:
    """Write limit zones."""
    nodes = []
    for number in range(w.dice.weighted([(60, 0), (25, 1), (15, 2)])):
        key = w.dice.pick(
            [
                "$binary_remote_addr",
                "$arg_q",
                "$http_x_a",
                "$server_name",
                "k",
                "$remote_addr$uri",
                *(f"${own}" for own in w.own),
            ]
        )
        rate = w.dice.pick(["1r/m", "2r/m", "1r/s", "1000r/s"])
        nodes.append(directive("limit_req_zone", key, f"zone=z{number}:64k", f"rate={rate}"))
        w.zones.append(f"z{number}")
    if w.dice.chance(10):
        nodes.append(directive("limit_conn_zone", "$binary_remote_addr", "zone=c0:64k"))
        w.connection_zones.append("c0")
    return nodes
