"""Strings to ask of a regular expression: members of its language, their neighbours, what an attacker tries, noise."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

from auditor.language.alphabet import lowest_byte
from auditor.language.alphabet import members as listed
from auditor.language.automaton import ALL, DEAD, Automaton, TooLarge, complete
from auditor.language.syntax import Alt, Atomic, BackReference, Chars, Concat, Node, Opaque, Repeat

members = lru_cache(maxsize=None)(listed)


def walks(machine: Automaton, rng: random.Random, count: int) -> list[bytes]:
    """Return random walks through an automaton, most of them along bytes that keep it alive."""
    result = []
    for _ in range(count):
        state, text = machine.start, bytearray()
        for _ in range(rng.randint(0, 24)):
            row = machine.row(state) if state != ALL else ()
            if not row:
                break
            mask, state = rng.choice(complete(row) if rng.random() < 0.1 else row)
            text.append(lowest_byte(mask) if rng.random() < 0.5 else rng.choice(members(mask)))
        if rng.random() < 0.15:
            text += b"\n"
        result.append(bytes(text))
    return result


def mutations(text: bytes, rng: random.Random, count: int) -> list[bytes]:
    """Return strings one or two edits away."""
    result = []
    for _ in range(count):
        data = bytearray(text)
        for _ in range(rng.randint(1, 2)):
            at = rng.randint(0, len(data))
            kind = rng.randrange(5)
            new = rng.choice(b"abz019.-_/:@ \n\r\tAZ\x00\xe9\xff")
            if kind == 0:
                data[at:at] = bytes((new,))
            elif kind == 1:
                del data[at : at + 1]
            elif kind == 2:
                data[at : at + 1] = bytes((new,))
            elif kind == 3:
                data = bytearray(data.swapcase())
            else:
                data += rng.choice((b"\n", b".evil.com", b"x", b"\n\n"))
        result.append(bytes(data))
    return result


def noise(rng: random.Random, alphabet: bytes, count: int) -> list[bytes]:
    """Return random strings."""
    return [bytes(rng.choice(alphabet) for _ in range(rng.randint(0, 9))) for _ in range(count)]


class Walker:
    """Draws members of an automaton's language, each byte one from which the language can still be reached."""

    def __init__(self, machine: Automaton, most: int = 3000) -> None:
        """Explore at most so many states from the start; what lies beyond is not drawn."""
        self._machine = machine
        seen, queue = {machine.start}, [machine.start]
        back: dict[int, list[int]] = {}
        for state in queue:
            for _, target in self._row(state):
                back.setdefault(target, []).append(state)
                if target not in seen and len(seen) < most:
                    seen.add(target)
                    queue.append(target)
        self._left = {state: 0 for state in queue if state == ALL or (state != DEAD and machine.final(state))}
        queue = list(self._left)
        for state in queue:
            for before in back.get(state, ()):
                if before not in self._left:
                    self._left[before] = self._left[state] + 1
                    queue.append(before)

    def _row(self, state: int) -> tuple[tuple[int, int], ...]:
        if state in (ALL, DEAD):
            return ()
        try:
            return self._machine.row(state)
        except TooLarge:
            return ()

    def draw(self, rng: random.Random) -> bytes | None:
        """Return a random member; None where nothing is known to be one."""
        state, text = self._machine.start, bytearray()
        if state not in self._left:
            return None
        longest = rng.choice((0, 8, 16, 40))
        while state != ALL:
            left = self._left[state]
            if not left and (len(text) >= longest or rng.random() < 0.2):
                return bytes(text)
            steps = [(mask, to) for mask, to in self._row(state) if to in self._left]
            if len(text) >= longest:
                steps = [step for step in steps if self._left[step[1]] < left] or steps
            if not steps:
                return bytes(text)
            mask, state = rng.choice(steps)
            text.append(_byte(mask, rng))
        return bytes(text) + rng.choice((b"", b"", b".evil.example", b"/", b":1", *noise(rng, _TAIL, 2)))


_TAIL = b"abz09.-_/:@ \n"
_USUAL = b"abcdefghijklmnopqrstuvwxyz0123456789.-/:"


def _byte(mask: int, rng: random.Random, favoured: bytes = _USUAL) -> int:
    """Return a byte of a set: mostly one that occurs in origins and paths, now and then any."""
    if rng.random() < 0.6:
        byte = rng.choice(favoured)
        if mask >> byte & 1:
            return byte
    return lowest_byte(mask) if rng.random() < 0.3 else rng.choice(members(mask))


def spelled(tree: Node, rng: random.Random) -> bytes:
    """Return a string as the expression reads, whatever its guards and lookarounds say: most of them match, not all.

    Few different bytes in one string, so that back references have a chance.
    """
    favoured = bytes(rng.choice(_USUAL) for _ in range(rng.choice((1, 2, 40))))
    text = _spelled(tree, rng, favoured)
    before, after = (rng.choice((b"", b"", *noise(rng, _TAIL, 1))) for _ in range(2))
    return before + text + after


def _spelled(node: Node, rng: random.Random, favoured: bytes) -> bytes:
    if isinstance(node, Chars):
        return bytes((_byte(node.mask, rng, favoured),)) if node.mask else b""
    if isinstance(node, Concat):
        return b"".join(_spelled(item, rng, favoured) for item in node.items)
    if isinstance(node, Alt):
        return _spelled(rng.choice(node.items), rng, favoured) if node.items else b""
    if isinstance(node, Repeat):
        most = node.low + rng.choice((0, 1, 1, 2, 6))
        times = rng.randint(node.low, most if node.high is None else min(node.high, most))
        return b"".join(_spelled(node.item, rng, favoured) for _ in range(times))
    if isinstance(node, Atomic):
        return _spelled(node.item, rng, favoured)
    if isinstance(node, Opaque):
        return _spelled(node.most, rng, favoured)
    if isinstance(node, BackReference):
        return favoured[:1]
    return b""  # a guard, a lookaround, a call


def origins(policy: list[Any], rng: random.Random, count: int) -> list[bytes]:
    """Return origins of a policy, their neighbours, and those an attacker tries."""
    seeds = [*members_of(policy, rng, count // 4)]
    hosts = [
        (i if isinstance(i, str) else i["pattern"]).partition("://")[2].removeprefix("*.").partition(":")[0]
        for i in policy
    ]
    tricks = (
        "{h}.evil.example",
        "evil{h}",
        "evil.{h}",
        "{x}",
        "{h}@evil.example",
        "{h}%00.evil",
        "{h}.",
        "evil.example/{h}",
        "{h}:443",
    )
    for host in hosts:
        for trick in tricks:
            name = trick.format(h=host, x=host.replace(".", "x"))
            seeds += [f"{scheme}://{name}".encode() for scheme in ("https", "http")] + [name.encode()]
    result = [*seeds, b"null", b"https://", b"https://evil.example"]
    while len(result) < count:
        result += mutations(rng.choice(seeds), rng, 3)
    return result


def members_of(policy: list[Any], rng: random.Random, count: int) -> list[bytes]:
    """Return random members of a policy, entry by entry."""
    result = []
    for _ in range(count):
        item = rng.choice(policy)
        text = item if isinstance(item, str) else item["pattern"]
        while "*." in text:
            labels = [
                "".join(rng.choice("abcz09") for _ in range(rng.choice((1, 2, 5, 20, 63))))
                for _ in range(rng.choice((1, 1, 1, 2, 3)))
            ]
            if rng.random() < 0.3:
                labels[0] = "a-" + labels[0][:61]
            text = text.replace("*.", ".".join(labels) + ".", 1)
        text = text.replace(":*", f":{rng.choice((1, 81, 3000, 8080, 65535, rng.randint(81, 65535)))}")
        result.append(text.encode())
    return result
