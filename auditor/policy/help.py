"""One sentence for every key of a policy: what an editor shows beside it."""

from __future__ import annotations

ABOUT_A_CLAUSE = {
    "severity": "How bad a violation is, instead of what the check says.",
    "rationale": "Why this is promised; shown with each finding.",
    "references": "Where to read on: CWE numbers, RFCs, addresses.",
}

KEYS: dict[str, dict[str, str]] = {
    "Policy": {
        "version": "The version of this format: 1.",
        "name": "The policy's name in reports; the file's, where none is given.",
        "extends": "Policies laid under this one, left to right: builtin:NAME, builtin:NAME@VERSION, or relative files.",
        "variables": "Values for ${name}, in any text of the policy.",
        "environments": "What differs where; --env NAME lays one over the policy.",
        "settings": "How verdicts become an exit status.",
        "targets": "What is read, and where a running stack is asked.",
        "layers": "The ids of the targets that a request passes, outermost first.",
        "routes": "Requests that are alike, and what is promised about them; the first that matches decides.",
        "error_pages": "What a client sees when the backend fails.",
        "exposure": "What must not be reachable.",
        "tls": "How plain HTTP and old TLS versions are treated.",
        "checks": "Check ids: switched off, or of another severity.",
        "waivers": "Findings that are accepted, by whom and until when.",
    },
    "Promises": {
        "cors": "Which other origins may read the responses; at the top level for every route.",
        "headers": "What response headers have to be, by name; at the top level for every route.",
        "cookies": "What cookies set here have to carry, by name.",
        "rate_limit": "How much one client may ask before it is refused.",
        "timeouts": "How long the proxy waits for the upstream.",
        "keepalive": "Whether connections to the upstream are kept open for the next request.",
        "caching": "What caches and compression may do with the responses.",
    },
    "Route": {
        "id": "The route's name in reports and waivers.",
        "match": "Which requests: any of these.",
        "probes": "Concrete requests that stand for the globs when a running stack is asked.",
        "served_by": "Every request of the route ends at this host:port, and nowhere else.",
        "websocket": "Which pages may open a WebSocket.",
    },
    "Match": {
        "hosts": "Host names; *. is one or more labels.",
        "paths": "Paths; * is one segment, ** any number of whole segments.",
        "methods": "HTTP methods, in upper case.",
    },
    "Probe": {
        "path": "The path, and the query where there is one.",
        "method": "The HTTP method.",
        "host": "The host, where the route has several.",
        "expect_status": "The status that the answer must have.",
    },
    "Settings": {
        "fail_on": "Open findings of this severity and above make the exit status 1.",
        "unknown": "What happens where the configuration does not decide: fail makes the exit status 3.",
        "unused_waivers": "What happens with a waiver that matches nothing.",
        "waiver_max_days": "How far in the future a waiver may expire, in days.",
        "inline_waivers": "Whether comments in configuration files may waive.",
    },
    "NginxTarget": {
        "id": "The target's name.",
        "type": "nginx.",
        "files": "The main configuration file, and others read with it.",
        "prefix": "What relative paths in the configuration start from.",
        "mounts": "Paths inside the container, and the files here that are mounted there.",
        "variables": "What envsubst fills the configuration's templates with; the Compose service's environment holds too.",
        "version": "The nginx version that runs, such as 1.28.",
    },
    "TraefikTarget": {
        "id": "The target's name.",
        "type": "traefik.",
        "static": "The static configuration: entrypoints, providers.",
        "dynamic": "The dynamic configuration: routers, middlewares, services; globs.",
    },
    "ComposeTarget": {
        "id": "The target's name.",
        "type": "compose.",
        "files": "Compose files, later ones laid over earlier ones.",
        "profiles": "The Compose profiles that are on.",
        "env_file": "The file that fills the Compose files' variables.",
    },
    "AsgiTarget": {
        "id": "The target's name.",
        "type": "asgi: FastAPI or Starlette.",
        "files": "The Python files that build the application; read, never run.",
    },
    "EnvTarget": {
        "id": "The target's name.",
        "type": "env.",
        "files": "Environment files of a browser-side build.",
    },
    "HttpTarget": {
        "id": "The target's name.",
        "type": "http: a running stack.",
        "entrypoints": "Where the stack is asked; no request leaves these.",
        "resolve": "host:port, and the host:port to connect to instead, as curl's --connect-to.",
        "limits": "What a live audit may cost.",
        "allow_unsafe_methods": "Whether methods other than GET, HEAD and OPTIONS are sent.",
    },
    "LiveLimits": {
        "requests_per_second": "Requests per second, at most.",
        "concurrency": "Requests at once, at most.",
        "timeout": "How long an answer may take.",
        "max_requests": "Requests in all, at most.",
    },
    "Origin": {
        "exact": "One origin, as browsers send it: scheme://host[:port].",
        "pattern": "An origin with * for one or more labels of the host, or for any port.",
        "regex": "A regular expression that the origin matches whole: anchored, dots escaped.",
        "acknowledge": "public-suffix: strangers can have names here, and that is meant.",
    },
    "OnDisallowed": {
        "status": "The statuses that the answer may have.",
        "cors_headers": "Whether the answer may carry Access-Control-Allow-Origin and its like.",
    },
    "Preflight": {
        "status": "The statuses of the answer to an allowed preflight.",
        "on_disallowed": "What the answer to a refused origin's preflight looks like.",
    },
    "Cors": {
        "enabled": "false: no response carries CORS headers.",
        "allow_origins": "Who may read; nobody, where the list is empty. * alone: anybody, without credentials.",
        "allow_methods": "Methods that a preflight may allow.",
        "allow_headers": "Request headers that a preflight may allow.",
        "expose_headers": "Response headers that a page may read.",
        "allow_credentials": "Whether requests may carry cookies and the page still read the answer.",
        "allow_private_network": "Whether public pages may reach into a private network.",
        "max_age": "How long browsers may remember a preflight.",
        "vary": "What Vary has to name, so that caches keep the answers apart.",
        "null_origin": "Whether pages without an origin (sandboxes, local files) may read.",
        "preflight": "What answers to preflights look like.",
        "on_disallowed_origin": "What answers to refused origins look like.",
        "on_error": "keep: error responses stay readable for allowed origins.",
    },
    "Hsts": {
        "min_max_age": "The shortest max-age that will do.",
        "include_subdomains": "Whether includeSubDomains has to be there.",
        "preload": "Whether preload has to be there.",
    },
    "Csp": {
        "require": "Directives that have to be there, with the sources that each has to name.",
        "forbid": "Sources that a directive must not name.",
        "report_only": "Whether a policy that is only reported will do.",
    },
    "ValueRule": {
        "exact": "The whole value.",
        "one_of": "Any of these values.",
        "regex": "A regular expression that matches somewhere in the value.",
        "not_regex": "A regular expression that matches nowhere in the value.",
        "contains": "Texts that the value has to hold.",
        "not_contain": "Texts that the value must not hold.",
        "absent": "The header must not be sent.",
        "present": "The header has to be sent, whatever its value.",
        "hsts": "What Strict-Transport-Security has to say.",
        "csp": "What Content-Security-Policy has to say.",
        "optional": "The header may be missing; if it is sent, the rest holds.",
    },
    "RateLimit": {
        "rate": "Requests per unit of time, at most: 10/s, 60/m.",
        "burst": "Requests above the rate at once, at most.",
        "status": "The status of a refusal.",
        "key": "Whom the limit counts: client_ip, or header:NAME.",
    },
    "Timeouts": {
        "connect": "Until the connection to the upstream stands.",
        "send": "Between two writes of the request.",
        "read": "Between two reads of the response.",
    },
    "DurationRange": {"min": "At least this long.", "max": "At most this long."},
    "Caching": {
        "cache_control": "What Cache-Control has to be.",
        "compression": "Whether text has to be, or must not be, compressed.",
    },
    "Cookie": {
        "secure": "Sent over HTTPS only.",
        "http_only": "Out of reach of scripts.",
        "same_site": "The values of SameSite that will do.",
        "prefix": "What the cookie's name has to start with.",
    },
    "Websocket": {
        "allow_origins": "The origins of pages that may open one.",
        "missing_origin": "Whether a handshake without Origin, from no browser, is taken.",
        "null_origin": "Whether pages without an origin may open one.",
        "on_disallowed": "What the answer to a refused handshake looks like.",
        "buffering": "Whether the proxy may hold back what the upstream sends.",
    },
    "ErrorPages": {
        "statuses": "The statuses that get the page.",
        "served_from": "The path of the page.",
        "contains": "Texts that the page has to hold.",
        "not_contain": "Texts that no error response may hold.",
    },
    "PublishedPorts": {
        "allow": "service:port that may be published on every address.",
        "loopback_only": "service:port that may be published on loopback.",
    },
    "Network": {"internal": "Whether the network must have no way to the outside."},
    "Exposure": {
        "backends": "host:port that are reached only through the layers.",
        "unreachable": "host:port that must refuse or time out from where the audit runs.",
        "published_ports": "The ports that Compose may publish; no others.",
        "networks": "What Compose networks have to be, by name.",
        "direct_routes": "forbid: no route leads past a layer to a backend.",
        "unknown_hosts": "refuse: a request for a host that nobody has is not served.",
        "denied_paths": "Paths that nobody outside gets an answer from.",
    },
    "Tls": {
        "redirect": "required: plain HTTP is only sent on to HTTPS.",
        "redirect_status": "The statuses of that redirect.",
        "min_version": "The oldest TLS version that is spoken.",
    },
    "CheckSetting": {"enabled": "false: the check is not run."},
    "Waiver": {
        "id": "The waiver's name in reports.",
        "checks": "The checks whose findings are accepted.",
        "routes": "Only on these routes.",
        "targets": "Only of these targets.",
        "fingerprints": "Only these findings.",
        "reason": "Why it is accepted.",
        "owner": "Who answers for it.",
        "ticket": "Where it is tracked.",
        "expires": "The last day (UTC) that it is accepted on.",
    },
}

_SHARED = {
    "HeaderRule": "ValueRule",
    "OnDisallowedPreflight": "OnDisallowed",
    "Environment": "Policy",
}


def help_for(model: str, key: str) -> str:
    """Return the sentence about one key of a model, "" where there is none."""
    for name in (model, _SHARED.get(model, ""), "Promises"):
        found = KEYS.get(name, {}).get(key)
        if found and (name != "Promises" or model in {"Policy", "Environment", "Route", "Promises"}):
            return found
    return ABOUT_A_CLAUSE.get(key, "")
