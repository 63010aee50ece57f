"""Layers composed: a request enters at a door and passes traefik, nginx, backend, whichever the configuration sends it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.exchange import Action, Ask, Exchange, Layer, Outcome, Request, Response, Unknown, amended
from auditor.memory import Memory


@dataclass(frozen=True, slots=True)
class Entry:
    """A way in from outside: the layer it leads to, and the scheme and local address it is reached by."""

    name: str
    scheme: str
    layer: str
    listen: str = ""
    host: str = ""


ANY_PEER = "172.18.0.2"
"""Where a layer's connections come from when nothing says so: an address of Docker's default pool."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers of one policy, outermost first, and who answers at which upstream address.

    `addresses` maps an upstream address ("qwen-api:8000") or host to the id of the layer that answers there, "" where
    no layer does. An address that nobody declared leads to the next layer inward if that listens on its port, or, past
    the last but one, to any backend. `ports` are the ports that a layer listens on, where they are known.
    `peers` maps a layer to the address that it opens connections from, as the next layer sees it.
    `memories` are those of the layers that give an answer again where it holds, outermost first.
    `same` maps other names of a host, or of an address, to the one that the policy and the Compose file use.
    """

    layers: tuple[tuple[str, Layer], ...]
    addresses: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, frozenset[int]] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    _names: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    _ways: dict[tuple[tuple[str, ...], str], tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)
    _reached: dict[tuple[int, str], int | None] = field(default_factory=dict, compare=False, repr=False)

    def canonical(self, address: str) -> str:
        """Return the one name of an address, or of a host, that may be written in several ways."""
        if address not in self._names:
            self._names[address] = self._canonical(address)
        return self._names[address]

    def _canonical(self, address: str) -> str:
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit():
            return self.same.get(address, address)
        named = f"{self.same.get(host.strip('[]'), host)}:{port}"
        return self.same.get(named, named)

    def layer_at(self, layer: str, address: str) -> str | None:
        """Return the id of the layer that another one reaches at an address, None where that is no layer."""
        names = [name for name, _ in self.layers]
        index = self._layer_at(names.index(layer), address)
        return None if index is None else names[index]

    def predict(self, request: Request, entry: Entry) -> tuple[Exchange, ...]:
        """Evaluate one request at one entry: an exchange per outcome that the configuration allows."""
        names = [name for name, _ in self.layers]
        outcomes = self._answer(names.index(entry.layer), amended(request, listen=entry.listen))
        return tuple([Exchange("predicted", request, outcome, "", self._asked(outcome)) for outcome in outcomes])

    def _asked(self, outcome: Outcome) -> tuple[str, ...]:
        """Return who was asked on the way to an outcome, and the upstream that the last layer names."""
        last = outcome.upstream_request
        if last is None or not last.listen:
            return outcome.passed
        key = (outcome.passed, last.listen)
        if key not in self._ways:
            mark = f"@{self.canonical(last.listen)}"
            there = any(known.endswith(mark) for known in outcome.passed)
            self._ways[key] = outcome.passed if there else (*outcome.passed, f"?{mark}")
        return self._ways[key]

    def _mark(self, name: str, address: str) -> str:
        return f"{name}@{self.canonical(address)}" if address else name

    def _answer(self, index: int, request: Request) -> tuple[Outcome, ...]:
        if index < len(self.memories):
            return self.memories[index].recall(request, lambda sent: self._made(index, sent))
        return self._made(index, request)

    def _made(self, index: int, request: Request) -> tuple[Outcome, ...]:
        name, layer = self.layers[index]
        mark = self._mark(name, request.listen)
        outcomes = layer.answer(request, self._next(index))
        return tuple([amended(outcome, passed=(mark, *outcome.passed)) for outcome in outcomes])

    def _next(self, index: int) -> Ask | None:
        if not self.addresses and index + 1 >= len(self.layers):
            return None

        def ask(request: Request) -> tuple[Outcome, ...]:
            target = self._layer_at(index, request.listen)
            if target is None:
                mark = self._mark("?", request.listen)
                return tuple(amended(outcome, passed=(mark,)) for outcome in any_backend(request))
            if target <= index:
                name = self.layers[target][0]
                return (amended(_loop(name), passed=(self._mark(name, request.listen),)),)
            seen_from = self.peers.get(self.layers[index][0], ANY_PEER)
            return self._answer(target, amended(request, client=seen_from))

        return ask

    def _layer_at(self, index: int, address: str) -> int | None:
        key = (index, address)
        if key not in self._reached:
            self._reached[key] = self._find(index, address)
        return self._reached[key]

    def _find(self, index: int, address: str) -> int | None:
        address = self.canonical(address)
        host, _, port = address.rpartition(":")
        for declared in (address, host):
            if declared in self.addresses:
                wanted = self.addresses[declared]
                return next((i for i, (name, _) in enumerate(self.layers) if name == wanted), None)
        following = index + 1
        last = len(self.layers) - 1
        if following > last or (following == last and self.addresses):
            return None
        known = self.ports.get(self.layers[following][0])
        return None if known and port.isdigit() and int(port) not in known else following


def any_backend(request: Request) -> tuple[Outcome, ...]:
    """Answer as a backend that nobody modelled may: fine, not found, broken, or not at all."""
    action = Action("proxy", f"{request.scheme}://{request.listen}")
    answers = tuple(
        Outcome(when, Response(status, further_headers=True), action, layer="backend")
        for when, status in (("upstream-success", 200), ("upstream-error", 500))
    )
    return (*answers, Outcome("upstream-down", None, action, layer="backend"))


def _loop(name: str) -> Outcome:
    reason = f"the request comes back to the layer {name}: a loop"
    return Outcome("always", Response(None), Action("unknown"), layer=name, unknown=(Unknown(reason),))
