"""Random vectors: pages, requests and servers that a browser has to make something of."""

from __future__ import annotations

from random import Random
from typing import Any

Vector = dict[str, Any]
Pairs = list[list[str]]

PAGES = {
    "app": ("http://app.example", "/page"),
    "apps": ("https://app.example", "/page"),
    "evil": ("http://evil.example", "/page"),
    "evils": ("https://evil.example", "/page"),
    "subs": ("https://api.app.example", "/page"),
    "sandbox_csp": ("http://app.example", "/sandbox"),
    "sandbox_csps": ("https://app.example", "/sandbox"),
    "noref_evils": ("https://evil.example", "/noref"),
    "coep_require_s": ("https://app.example", "/require"),
    "coep_credless_s": ("https://app.example", "/credentialless"),
}
"""Where each context's page is loaded from; the sandboxed ones have the origin null."""
PLAIN = ["http://api.example:9080", "http://b.example:9080", "http://c.example:9080", "http://app.example"]
SECURE = ["https://ck.example:9443", "https://ck.app.example:9443", "https://b.example:9443", "https://app.example"]
METHODS = ["GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "PATCH", "patch", "DELETE", "OPTIONS", "put", "CHICKEN"]
HEADERS: Pairs = [
    ["X-A", "1"],
    ["x-b", "2"],
    ["Authorization", "Bearer t"],
    ["Content-Type", "application/json"],
    ["Content-Type", "text/plain"],
    ["Content-Type", "text/plain; charset=utf-8"],
    ["Content-Type", "multipart/form-data; boundary=q"],
    ["Content-Type", "TEXT/PLAIN;application/json"],
    ["Content-Type", 'text/plain; charset="utf-8"'],
    ["Content-Type", "text/plain, application/json"],
    ["Accept", "text/html"],
    ["Accept", "a/b; q=(1)"],
    ["Accept-Language", "en-US, en;q=0.5"],
    ["Accept-Language", "en_US"],
    ["Content-Language", "de"],
    ["Range", "bytes=0-5"],
    ["Range", "bytes=-5"],
    ["Range", "bytes=5-2"],
    ["X-Requested-With", "XMLHttpRequest"],
    ["Cache-Control", "no-cache"],
    ["DPR", "2"],
    ["Save-Data", "on"],
    ["Save-Data", "off"],
    ["Downlink", "1.5"],
    ["Viewport-Width", "320"],
    ["ECT", "4g"],
    ["RTT", "-1"],
    ["Device-Memory", "0.5"],
    ["Cookie", "a=b"],
    ["Sec-Secret", "1"],
    ["X-HTTP-Method-Override", "DELETE"],
    ["X-HTTP-Method-Override", "TRACE"],
    ["Accept", "x" * 129],
    ["Accept", "y" * 128],
]
EXPOSED = ["x-one", "X-Two", "*", "ETag", "x-none", "set-cookie", "bad name", '"x-one"', "", "Date"]
WHITE = ["", "", "", " ", "\t", "  "]


def spaced(rng: Random, text: str) -> str:
    """Put white space around a value now and then."""
    return rng.choice(WHITE) + text + rng.choice(WHITE)


def allow_origin(rng: Random, origin: str) -> list[str]:
    """Draw the lines of Access-Control-Allow-Origin."""
    upper = origin.upper()
    good = [[origin]] * 14 + [["*"]] * 5 + [["null"]] * 2
    bad = [[], [], [upper], [origin + "/"], [origin, origin], ["*", origin], [f"{origin},*"], ["http://evil.example"]]
    bad += [
        [f"{origin} "],
        ["*.example"],
        [f"{origin}:80"],
        [""],
        ["app.example"],
        ["http://*"],
        ["https://other.example"],
    ]
    return [spaced(rng, value) for value in rng.choice(good + bad)]


def shared(rng: Random, origin: str) -> Pairs:
    """Draw the two headers that share a response, sometimes spelled in lower case."""
    name = rng.choice(["Access-Control-Allow-Origin"] * 3 + ["access-control-allow-origin"])
    pairs = [[name, value] for value in allow_origin(rng, origin)]
    credentials = rng.choice(
        ["true"] * 6 + ["", "True", "false", "1", "true,true", "true, true", '"true"'] + [None] * 4
    )
    if credentials is not None:
        pairs.append(["Access-Control-Allow-Credentials", spaced(rng, credentials)])
    return pairs


def listed(rng: Random, wanted: list[str], noise: list[str]) -> str:
    """Draw a comma list that often holds what is wanted."""
    items = [item for item in wanted if rng.random() < 0.93] + rng.sample(noise, min(len(noise), rng.randint(0, 2)))
    rng.shuffle(items)
    if rng.random() < 0.06:
        items.append(rng.choice(['"q"', "a b", "(", "[x]", "x;y", "\u00e9"]))
    return rng.choice([", ", ",", ",\t", " , ", ",,"]).join(items) + rng.choice(["", "", "", ",", " "])


def preflight(rng: Random, origin: str, method: str, headers: Pairs) -> Vector:
    """Draw an answer to the preflight, mostly one that allows the request."""
    names = [rng.choice([name, name.lower(), name.upper()]) for name, _ in headers]
    pairs = shared(rng, origin)
    normal = method.upper() if method.upper() in {"PUT", "DELETE", "GET", "POST", "HEAD", "OPTIONS"} else method
    if rng.random() < 0.9:
        pairs.append(
            ["Access-Control-Allow-Methods", listed(rng, [normal], ["*", "PUT", "put", "PATCH", "GET", "OPTIONS"])]
        )
    if rng.random() < 0.9:
        pairs.append(
            ["Access-Control-Allow-Headers", listed(rng, names, ["*", "x-a", "X-B", "accept", "authorization"])]
        )
    if rng.random() < 0.3:
        pairs.append(["Access-Control-Max-Age", rng.choice(["0", "600", "-1", "abc", "86400"])])
    rng.shuffle(pairs)
    status = rng.choice([200] * 6 + [204] * 8 + [206, 299, 302, 304, 401, 403, 404, 405, 500])
    return {"status": status, "headers": [*pairs, ["Content-Type", "text/plain"]], "body": "ok"}


def actual(rng: Random, origin: str, status: int | None = None) -> Vector:
    """Draw an answer to the request itself."""
    pairs = shared(rng, origin)
    pairs += [["X-One", "1"], ["X-Two", "2"], ["ETag", '"q"'], ["Set-Cookie", "n=1"], ["Cache-Control", "no-store"]]
    if rng.random() < 0.5:
        pairs.append(
            ["Access-Control-Expose-Headers", ",".join(spaced(rng, n) for n in rng.sample(EXPOSED, rng.randint(1, 3)))]
        )
    if rng.random() < 0.1:
        pairs.append(["Access-Control-Expose-Headers", "X-Two"])
    rng.shuffle(pairs)
    status = status or rng.choice([200] * 8 + [201, 204, 302, 400, 403, 404, 500, 503])
    return {"status": status, "headers": [*pairs, ["Content-Type", "text/plain"]], "body": "ok"}


def request_init(rng: Random) -> Vector:
    """Draw the arguments of `fetch()`."""
    method = rng.choice(METHODS)
    init: Vector = {"method": method, "credentials": rng.choice(["omit", "same-origin", "include", "include"])}
    headers = [list(pair) for pair in rng.sample(HEADERS, rng.choice([0, 0, 1, 1, 2, 3]))]
    if headers:
        init["headers"] = headers
    if method not in {"GET", "HEAD"} and rng.random() < 0.4:
        init["body"] = "b"
    if rng.random() < 0.06:
        init["redirect"] = rng.choice(["manual", "error"])
    return init


def page(rng: Random, contexts: list[str]) -> tuple[str, str, str]:
    """Draw a context; return it with the page's origin as it serialises and the URL's."""
    context = rng.choice(contexts)
    url_origin = PAGES[context][0]
    return context, "null" if context.startswith("sandbox") else url_origin, url_origin


def hosts(url_origin: str) -> list[str]:
    """Return the servers a page can reach without mixed content."""
    return SECURE if url_origin.startswith("https") else PLAIN + SECURE[:2]


def draw_fetch(rng: Random, vid: str) -> Vector:
    """Draw one fetch without a redirect."""
    context, origin, url_origin = page(rng, ["app"] * 4 + ["apps", "evils", "subs", "sandbox_csp", "sandbox_csps"])
    init = request_init(rng)
    if rng.random() < 0.12:
        init["mode"] = rng.choice(["no-cors", "same-origin"])
        if init["mode"] == "no-cors":
            init.pop("redirect", None)
    url = f"{rng.choice(hosts(url_origin))}/v/{vid}/0"
    server = {
        "0": {
            "actual": actual(rng, origin),
            "preflight": preflight(rng, origin, init["method"], init.get("headers", [])),
        }
    }
    return vector(vid, "fetch", context, origin, asked={"url": url, "init": init}, server=server)


def draw_redirect(rng: Random, vid: str) -> Vector:
    """Draw a fetch along one to three redirects."""
    context, origin, url_origin = page(rng, ["app"] * 4 + ["apps", "subs", "evils", "sandbox_csp", "coep_credless_s"])
    init = request_init(rng)
    init.pop("redirect", None)
    if rng.random() < 0.2:
        init["mode"] = rng.choice(["no-cors", "no-cors", "same-origin"])
    elif rng.random() < 0.12:
        init["redirect"] = rng.choice(["manual", "error"])
    where = [rng.choice(hosts(url_origin)) for _ in range(rng.randint(2, 4))]
    server: dict[str, Vector] = {}
    for hop, host in enumerate(where):
        sees = rng.choice([origin, origin, "null"])
        answer = actual(rng, sees, 200)
        if rng.random() < 0.6:
            answer["headers"] = [
                ["Access-Control-Allow-Origin", rng.choice([sees, "*"])],
                ["Access-Control-Allow-Credentials", "true"],
            ]
        if hop + 1 < len(where):
            answer["status"] = rng.choice([301, 302, 303, 307, 307, 308] * 4 + [300, 304, 305, 306])
            answer["headers"].append(["Location", location(rng, host, where[hop + 1], vid, hop + 1)])
        server[str(hop)] = {
            "actual": answer,
            "preflight": preflight(rng, sees, init["method"], init.get("headers", [])),
        }
    return vector(vid, "fetch", context, origin, asked={"url": f"{where[0]}/v/{vid}/0", "init": init}, server=server)


def location(rng: Random, here: str, there: str, vid: str, hop: int) -> str:
    """Draw a Location, now and then relative, with user information, or to no web page at all."""
    path = f"/v/{vid}/{hop}"
    plain = f"{there}{path}"
    scheme, rest = plain.split("://")
    odd = [f"{scheme}://u:p@{rest}", f"{plain}#f", f"//{rest}", f"{scheme.upper()}://{rest}", f" {plain} "]
    odd += [
        "data:text/plain,x",
        "mailto:a@b",
        "http://[bad",
        "",
        f"{scheme}:{path}",
        f"\\\\{rest}",
        f"{scheme}:\\\\{rest}",
    ]
    odd += [
        f"{plain}?q=\u00e9",
        f"{plain}?a b",
        f"{scheme}:///{rest}",
        f"{there}/x/..{path}",
        f"{there}/%76{path[2:]}",
        "//",
        "?x",
    ]
    if here == there:
        odd += [path, f".{path}", f"{hop}"]
    return rng.choice([plain] * 26 + odd)


def draw_sequence(rng: Random, vid: str) -> Vector:
    """Draw two to four requests to one URL in one session: the preflight cache."""
    context, origin = "app", "http://app.example"
    url = f"http://api.example:9080/v/{vid}/0"
    steps = []
    for _ in range(rng.randint(2, 4)):
        init: Vector = {
            "method": rng.choice(["PUT", "DELETE", "PATCH", "GET", "POST"]),
            "credentials": rng.choice(["omit", "include"]),
        }
        headers = [list(pair) for pair in rng.sample(HEADERS[:4], rng.choice([0, 1, 1, 2]))]
        if headers:
            init["headers"] = headers
        steps.append({"url": url, "init": init})
    answers = []
    for _ in range(4):
        pairs = [
            ["Access-Control-Allow-Origin", rng.choice([origin] * 5 + ["*"])],
            ["Access-Control-Allow-Credentials", "true"],
        ]
        pairs.append(
            ["Access-Control-Allow-Methods", listed(rng, rng.sample(["PUT", "DELETE", "PATCH", "*"], 2), ["GET"])]
        )
        pairs.append(
            [
                "Access-Control-Allow-Headers",
                listed(rng, rng.sample(["x-a", "x-b", "authorization", "content-type", "*"], 3), []),
            ]
        )
        pairs.append(["Access-Control-Max-Age", rng.choice(["0", "600", "600", "600", "3600", "-1"])])
        answers.append({"status": 204, "headers": pairs, "body": ""})
    final = {
        "status": 200,
        "headers": [["Access-Control-Allow-Origin", origin], ["Access-Control-Allow-Credentials", "true"]],
        "body": "ok",
    }
    shown = [final, final, {**final, "headers": []}, final] if rng.random() < 0.3 else final
    server = {"0": {"preflight": answers, "actual": shown}}
    return vector(vid, "seq", context, origin, asked={"url": url, "init": {}, "steps": steps}, server=server)


def draw_websocket(rng: Random, vid: str) -> Vector:
    """Draw a WebSocket handshake."""
    context, origin, _ = page(
        rng, ["app", "apps", "evil", "evils", "subs", "sandbox_csp", "sandbox_csps", "noref_evils"]
    )
    host = rng.choice(PLAIN + SECURE).replace("http", "ws", 1)
    asked = rng.choice([[], [], [], ["chat"], ["chat", "v2"]])
    status = rng.choice([101] * 6 + [200, 302, 401, 403, 404, 500])
    pairs: Pairs = [["Access-Control-Allow-Origin", "http://other.example"]] if rng.random() < 0.3 else []
    if asked or rng.random() < 0.1:
        pairs += rng.choice(
            [
                [["Sec-WebSocket-Protocol", "chat"]],
                [["Sec-WebSocket-Protocol", "v2"]],
                [],
                [["Sec-WebSocket-Protocol", "x"]],
            ]
        )
    answer = {"ws": True, "status": status, "headers": pairs, "body": ""}
    asked_for = {"url": f"{host}/v/{vid}/0", "init": {}, "protocols": asked}
    return vector(vid, "ws", context, origin, asked=asked_for, server={"0": {"actual": answer}})


TYPES = [
    "text/html",
    "application/json",
    "application/ld+json",
    "text/xml",
    "image/svg+xml",
    "text/plain",
    "text/css",
    "text/vtt",
]
TYPES += [
    "text/javascript",
    "image/png",
    "video/mp4",
    "application/octet-stream",
    "application/pdf",
    "text/csv",
    "text/event-stream",
]
BODIES = [
    "1",
    '{"a":1}',
    "[1]",
    "{}",
    "<!doctype html><p>",
    "<?xml version='1.0'?><a/>",
    ")]}'\n{}",
    "",
    "/* c */ 1",
    "{a:1}",
    '"s"',
]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def draw_element(rng: Random, vid: str) -> Vector:
    """Draw an image, script or style sheet with or without `crossorigin`."""
    context, origin, url_origin = page(
        rng, ["app", "apps", "subs", "coep_require_s", "coep_credless_s", "sandbox_csps"]
    )
    kind = rng.choice(["img", "script", "css"])
    pairs: Pairs = shared(rng, origin) if rng.random() < 0.7 else []
    if rng.random() < 0.6:
        policy = rng.choice(
            [
                "same-origin",
                "same-site",
                "cross-origin",
                "Same-Origin",
                "bogus",
                " same-site\t",
                "same-origin, same-site",
            ]
        )
        pairs.append(["Cross-Origin-Resource-Policy", policy])
    pairs.append(["Content-Type", {"img": "image/png", "script": "text/javascript", "css": "text/css"}[kind]])
    body = {"img": "", "script": "1", "css": "a{color:red}"}[kind]
    answer: Vector = {"status": 200, "headers": [*pairs, ["Cache-Control", "no-store"]], "body": body}
    if kind == "img":
        answer["body_b64"] = PNG
    asked: Vector = {"url": f"{rng.choice(hosts(url_origin))}/v/{vid}/0", "init": {}}
    attribute = rng.choice([None, None, "", "anonymous", "use-credentials", "bogus", "USE-CREDENTIALS"])
    if attribute is not None:
        asked["crossorigin"] = attribute
    return vector(vid, kind, context, origin, asked=asked, server={"0": {"actual": answer}})


def draw_beacon(rng: Random, vid: str) -> Vector:
    """Draw a beacon with a typed body."""
    context, origin, url_origin = page(rng, ["app", "apps", "evils", "subs", "noref_evils", "sandbox_csps"])
    asked = {"url": f"{rng.choice(hosts(url_origin))}/v/{vid}/0", "init": {}}
    asked["blobType"] = rng.choice(
        ["text/plain", "application/json", "application/x-www-form-urlencoded", "text/html", "x/y"]
    )
    server = {
        "0": {"actual": actual(rng, origin, 200), "preflight": preflight(rng, origin, "POST", [["content-type", "x"]])}
    }
    return vector(vid, "beacon", context, origin, asked=asked, server=server)


def draw_xhr(rng: Random, vid: str) -> Vector:
    """Draw an XMLHttpRequest, often with a listener on its upload."""
    context, origin, url_origin = page(rng, ["app", "apps", "subs", "sandbox_csp"])
    init = request_init(rng)
    init.pop("redirect", None)
    init["credentials"] = rng.choice(["omit", "include"])
    if rng.random() < 0.5:
        init["body"] = "b"
    asked = {"url": f"{rng.choice(hosts(url_origin))}/v/{vid}/0", "init": init, "upload": rng.random() < 0.5}
    answers = {
        "actual": actual(rng, origin, 200),
        "preflight": preflight(rng, origin, init["method"], init.get("headers", [])),
    }
    return vector(vid, "xhr", context, origin, asked=asked, server={"0": answers})


def draw_event_source(rng: Random, vid: str) -> Vector:
    """Draw an EventSource."""
    context, origin, url_origin = page(rng, ["app", "apps", "subs", "sandbox_csp"])
    kind = rng.choice(
        ["text/event-stream"] * 5
        + ["text/event-stream;charset=utf-8", "TEXT/event-stream", "text/plain", "text/event-stream, x/y"]
    )
    status = rng.choice([200] * 8 + [201, 206, 403, 500])
    answer = {"status": status, "headers": [*shared(rng, origin), ["Content-Type", kind]], "body": "data: hi\n\n"}
    asked = {"url": f"{rng.choice(hosts(url_origin))}/v/{vid}/0", "init": {}, "withCredentials": rng.random() < 0.5}
    return vector(vid, "eventsource", context, origin, asked=asked, server={"0": {"actual": answer}})


def draw_form(rng: Random, vid: str) -> Vector:
    """Draw a form submitted into a frame."""
    context, origin, url_origin = page(rng, ["app", "apps", "evils", "subs", "noref_evils"])
    asked = {
        "url": f"{rng.choice(hosts(url_origin))}/v/{vid}/0",
        "init": {},
        "method": rng.choice(["GET", "POST", "POST"]),
    }
    asked["enctype"] = rng.choice(["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"])
    answer = {"status": 200, "headers": [["Content-Type", "text/plain"]], "body": "ok"}
    return vector(vid, "form", context, origin, asked=asked, server={"0": {"actual": answer}})


def vector(vid: str, kind: str, context: str, origin: str, *, asked: Vector, server: dict[str, Any]) -> Vector:
    """Put one vector together, without what was observed."""
    return {
        "id": f"fresh/{vid}",
        "name": f"{kind} {vid}",
        "context": context,
        "page_origin": origin,
        "kind": kind,
        "request": asked,
        "server": server,
    }


def draw_blocked(rng: Random, vid: str) -> Vector:
    """Draw an image or script without `crossorigin` whose type and bytes may not fit (opaque response blocking)."""
    kind = rng.choice(["script", "script", "img"])
    typed = rng.choice(TYPES) + rng.choice(["", "; charset=utf-8"])
    pairs: Pairs = [["Content-Type", typed]] if rng.random() < 0.95 else []
    if rng.random() < 0.4:
        pairs.append(["X-Content-Type-Options", rng.choice(["nosniff", "NoSniff", "nosniff, x", "x, nosniff"])])
    answer: Vector = {
        "status": rng.choice([200, 200, 200, 404, 206]),
        "headers": [*pairs, ["Cache-Control", "no-store"]],
    }
    answer["body"] = rng.choice(BODIES)
    if kind == "img" and rng.random() < 0.6:
        answer["body_b64"] = PNG
    asked: Vector = {"url": f"http://api.example:9080/v/{vid}/0", "init": {}}
    return vector(vid, kind, "app", "http://app.example", asked=asked, server={"0": {"actual": answer}})


DRAWS = [draw_fetch] * 9 + [draw_redirect] * 7 + [draw_sequence, draw_xhr, draw_element] * 2
DRAWS += [draw_websocket, draw_beacon, draw_event_source, draw_form, draw_blocked]


def draw(seed: int, count: int) -> list[Vector]:
    """Draw vectors; the same seed gives the same ones."""
    rng = Random(seed)
    return [rng.choice(DRAWS)(rng, f"s{seed}-{number}") for number in range(count)]
