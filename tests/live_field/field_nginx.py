"""The field in nginx's language: one block of locations for each URL."""

from __future__ import annotations

from collections.abc import Sequence

from tests.live_field.flaws import Side, sides

EMPTY = "''"
PRELUDE = """
    map $http_access_control_request_method $asked_method { default ""; GET GET; POST POST; PUT PUT; }
    map $http_access_control_request_headers $asked_headers {
        default ""; "~*^(content-type|x-token)(,(content-type|x-token))*$" $http_access_control_request_headers;
    }
    map $host $second_host { default 1; %(host)s 0; }
"""


class _Maps:
    """The maps of a configuration, each written once: nginx takes a millisecond for every one."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], str] = {}

    def of(self, source: str, body: str) -> str:
        """Return the variable of a map from a source with this body."""
        return self.names.setdefault((source, body), f"$v{len(self.names)}")

    def origins(self, keys: Sequence[str]) -> str:
        """Return the variable that is the Origin where one of the keys matches, and else empty."""
        quoted = (f"'{key}'" if key.startswith("~") else f'"{key}"' for key in keys)
        return self.of("$http_origin", "default '';" + "".join(f" {key} $http_origin;" for key in quoted))

    def text(self) -> str:
        """Write all of them."""
        return "".join(f"map {source} {name} {{ {body} }}\n" for (source, body), name in self.names.items())


def configuration(host: str, *listens: str, only: Sequence[str] = ()) -> str:
    """Return the http block's content: maps, and one server that listens so; `only` these URLs, or all."""
    maps = _Maps()
    locations = [_Url(name, side, maps).locations() for name, _, side, _ in sides() if not only or name in only]
    listen = "\n".join(f"listen {item};" for item in listens)
    server = f"server {{ {listen} server_name _; default_type text/plain; add_header X-Content-Type-Options nosniff always;\n"
    sizes = "map_hash_bucket_size 256; variables_hash_max_size 4096; variables_hash_bucket_size 256;\n"
    return sizes + PRELUDE % {"host": host} + maps.text() + server + "".join(locations) + "}\n"


class _Url:
    """One URL of the field: what its kinds of answers say."""

    def __init__(self, name: str, side: Side, maps: _Maps) -> None:
        self.name, self.side, self.maps = name, side, maps

    def variable(self, kind: str) -> str:
        """Return the variable that is sent back as the allowed origin."""
        side, maps = self.side, self.maps
        own = {"post": side.post, "error": side.error, "json": side.json, "preflight": side.preflight}.get(kind)
        if own is not None:
            return maps.origins(own)
        found = maps.origins(side.get)
        if side.http2 is not None:
            found = maps.of("$server_protocol", f"default {found}; HTTP/2.0 {maps.origins(side.http2)};")
        if side.second_host is not None:
            found = maps.of("$second_host", f"default {maps.origins(side.second_host)}; 0 {found};")
        return found

    def headers(self, kind: str, *extra: str) -> str:
        """Write the header lines of one kind of answer."""
        side, maps, variable = self.side, self.maps, self.variable(kind)
        origin = "'*'" if side.star else variable
        if side.get == ("two",):
            origin = "'https://app.partner.net, https://www.partner.net'"
        lines = [f"Access-Control-Allow-Origin {origin}"]
        if side.credentials:
            granted = maps.of(variable, "default true; '' '';") if side.credentials == "granted" else side.credentials
            lines.append(f"Access-Control-Allow-Credentials {granted}")
        if side.vary:
            without = maps.of("$http_origin", "default Origin; '' '';")
            lines.append(f"Vary '{side.vary}'" if side.vary_without_origin else f"Vary {without}")
        total = maps.of(variable, "default X-Total; '' '';") if "$total" in "".join(extra) else ""
        lines += [line.replace("$mine", variable).replace("$total", total) for line in extra]
        if not side.on_head:
            some = maps.of("$request_method", "default nosniff; HEAD '';")
            lines = [line.replace('"nosniff"', some) for line in lines]
        return "".join(f"add_header {line} {'always' if side.always else ''};\n" for line in lines)

    def preflight(self) -> str:
        """Write the block that answers preflights; nothing is granted to an origin that is refused."""
        side, variable = self.side, self.variable("preflight")
        values = {"Allow-Methods": side.methods, "Allow-Headers": side.headers, "Max-Age": side.max_age}
        grants = []
        for name, value in values.items():
            refused = value if side.star else "''"
            grants.append(f"Access-Control-{name} {self.maps.of(variable, f'default {value}; {EMPTY} {refused};')}")
        lines = self.headers("preflight", *grants, *side.extra_preflight)
        target = " /elsewhere" if side.preflight_status == 301 else ""
        return f"if ($http_access_control_request_method) {{ {lines} return {side.preflight_status}{target}; }}\n"

    def locations(self) -> str:
        """Write the URL, its twin with a suffix, and what is below it and is not there."""
        side, name, preflight = self.side, self.name, self.preflight()
        post = (
            f"if ($request_method = POST) {{ {self.headers('post', *side.extra)} return 200 ok; }}\n"
            if side.post
            else ""
        )
        return (
            f"location = /{name} {{ {preflight}{post}{self.headers('get', *side.extra)} return 200 ok; }}\n"
            f"location = /{name}.json {{ {preflight}{self.headers('json', *side.extra)} return 200 ok; }}\n"
            f"location /{name}/ {{ {preflight}{self.headers('error', *side.extra)} return 404 no; }}\n"
        )
