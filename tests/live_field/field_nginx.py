"""The field in nginx's language: one block of locations for each URL."""

from __future__ import annotations

from tests.live_field.flaws import Side, sides

PRELUDE = """
    map $http_access_control_request_method $asked_method { default ""; GET GET; POST POST; PUT PUT; }
    map $http_access_control_request_headers $asked_headers {
        default ""; "~*^(content-type|x-token)(,(content-type|x-token))*$" $http_access_control_request_headers;
    }
    map $host $second_host { default 1; %(host)s 0; }
"""


def configuration(host: str, *listens: str) -> str:
    """Return the http block's content: maps, and one server that listens so."""
    maps, locations = [PRELUDE % {"host": host}], []
    for name, _, side, _ in sides():
        maps.append(_maps(name, side))
        locations.append(_locations(name, side))
    listen = "\n".join(f"listen {item};" for item in listens)
    text = (
        "".join(maps)
        + f"server {{ {listen} server_name _; default_type text/plain; add_header X-Content-Type-Options nosniff always;\n"
        + "".join(locations)
        + "}\n"
    )
    return "map_hash_bucket_size 256; variables_hash_max_size 8192; variables_hash_bucket_size 128;\n" + text


def _keys(keys: tuple[str, ...]) -> str:
    return "".join(f' "{key}" $http_origin;' if not key.startswith("~") else f" '{key}' $http_origin;" for key in keys)


def _maps(name: str, side: Side) -> str:
    kinds = {"post": side.post, "error": side.error, "json": side.json, "preflight": side.preflight}
    kinds |= {"http2": side.http2, "host2": side.second_host}
    text = f"map $http_origin ${name}_one {{ default '';{_keys(side.get)} }}\n"
    for kind, keys in kinds.items():
        if keys is not None:
            text += f"map $http_origin ${name}_{kind} {{ default '';{_keys(keys)} }}\n"
    over_two = f"${name}_http2" if side.http2 is not None else f"${name}_one"
    elsewhere = f"${name}_host2" if side.second_host is not None else f"${name}_protocol"
    text += f"map $server_protocol ${name}_protocol {{ default ${name}_one; HTTP/2.0 {over_two}; }}\n"
    text += f"map $second_host ${name}_get {{ default {elsewhere}; 0 ${name}_protocol; }}\n"
    text += f"map $http_origin ${name}_vary {{ default Origin; '' ''; }}\n"
    text += f"map ${name}_get ${name}_total {{ default X-Total; '' ''; }}\n"
    text += f"map $request_method ${name}_nosniff {{ default nosniff; HEAD ''; }}\n"
    lines = {"methods": side.methods, "headers": side.headers, "age": side.max_age}
    granted = f"${name}_preflight" if side.preflight is not None else f"${name}_get"
    for what, value in lines.items():
        refused = value if side.star else "''"
        text += f"map {granted} ${name}_{what} {{ default {value}; '' {refused}; }}\n"
    for kind in ("get", *(kind for kind, keys in kinds.items() if keys is not None and kind not in {"http2", "host2"})):
        text += f"map ${name}_{kind} ${name}_{kind}_credentials {{ default true; '' ''; }}\n"
    return text


def _headers(name: str, side: Side, kind: str, *extra: str) -> str:
    """Write the header lines of one kind of answer."""
    own = {"post": side.post, "error": side.error, "json": side.json, "preflight": side.preflight}.get(kind)
    variable = f"${name}_{kind if own is not None else 'get'}"
    always = "always" if side.always else ""
    origin = "'*'" if side.star else variable
    if side.get == ("two",):
        origin = "'https://app.partner.net, https://www.partner.net'"
    lines = [f"Access-Control-Allow-Origin {origin}"]
    if side.credentials:
        lines.append(
            f"Access-Control-Allow-Credentials {side.credentials.replace('granted', f'{variable}_credentials')}"
        )
    if side.vary:
        lines.append(f"Vary '{side.vary}'" if side.vary_without_origin else f"Vary ${name}_vary")
    lines += [line.replace("$mine", variable).replace("$total", f"${name}_total") for line in extra]
    if not side.on_head:
        lines = [line.replace('"nosniff"', f"${name}_nosniff") for line in lines]
    return "".join(f"add_header {line} {always};\n" for line in lines)


def _preflight(name: str, side: Side) -> str:
    grants = ("Methods", "methods"), ("Headers", "headers")
    lines = [f"Access-Control-Allow-{header} ${name}_{variable}" for header, variable in grants]
    lines.append(f"Access-Control-Max-Age ${name}_age")
    lines = _headers(name, side, "preflight", *lines, *side.extra_preflight)
    target = " /elsewhere" if side.preflight_status == 301 else ""
    return f"if ($http_access_control_request_method) {{ {lines} return {side.preflight_status}{target}; }}\n"


def _locations(name: str, side: Side) -> str:
    preflight = _preflight(name, side)
    post = (
        f"if ($request_method = POST) {{ {_headers(name, side, 'post', *side.extra)} return 200 ok; }}\n"
        if side.post
        else ""
    )
    return (
        f"location = /{name} {{ {preflight}{post}{_headers(name, side, 'get', *side.extra)} return 200 ok; }}\n"
        f"location = /{name}.json {{ {preflight}{_headers(name, side, 'json', *side.extra)} return 200 ok; }}\n"
        f"location /{name}/ {{ {preflight}{_headers(name, side, 'error', *side.extra)} return 404 no; }}\n"
    )
