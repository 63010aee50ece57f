"""Traefik's dynamic configuration: routers, services and middlewares of one provider."""

from __future__ import annotations

from dataclasses import field

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.traefik import rules, streams
from auditor.traefik.model import (
    Middleware,
    Parts,
    Router,
    Server,
    Service,
    flag_of,
    list_of,
    number_of,
    text_of,
)
from auditor.traefik.options import KINDS, LOAD_BALANCER, ROUTER, unknown_options
from auditor.traefik.refuse import EMPTY_ALLOWED, refusal
from auditor.tree import Node


@dataclass(slots=True)
class Reader:
    """Reads providers into `parts`; what is wrong goes to `problems`, what is not decided to `unknown`.

    `container` is the name of the container whose labels are being read.
    """

    parts: Parts
    syntax: rules.Syntax = "v3"
    problems: list[Problem] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    container: str = ""

    def read(self, root: Node, provider: str) -> None:
        """Read one provider's tree (the whole of a dynamic file, or what labels amount to)."""
        http = root.get("http")
        if http is not None:
            for name, node in (http.get("middlewares") or http).children() if http.get("middlewares") else ():
                self._middleware(f"{name}@{provider}", node)
            for name, node in (http.get("services") or http).children() if http.get("services") else ():
                self._service(f"{name}@{provider}", node, provider)
            for name, node in (http.get("routers") or http).children() if http.get("routers") else ():
                self._router(f"{name}@{provider}", node, provider)
        self._other(root, http, provider)

    def _other(self, root: Node, http: Node | None, provider: str) -> None:
        options = root.get("tls", "options")
        for name, node in options.children() if options else ():
            self.parts.tls_options[name] = node
        for router in streams.read(root, provider, self.container):
            self.parts.streams.append(router)
            if router.protocol == "tcp":
                name = router.name.partition("@")[0]
                reason = f"the tcp router {name} may take connections before any HTTP router sees them"
                self.unknown.append(Unknown(reason, router.location))
        for name, node in root.children():
            if name.lower() not in ("http", "tcp", "udp", "tls"):
                self._strange(name, node.place)
        for name, node in http.children() if http else ():
            if name.lower() not in ("routers", "services", "middlewares", "serverstransports", "models"):
                self._strange(f"http.{name}", node.place)

    def _strange(self, what: str, location: Location) -> None:
        message = f"Traefik does not know the option {what}, and refuses a file that has it"
        self.problems.append(Problem(message, location, "correct the name or remove the option"))
        self.unknown.append(Unknown(f"the option {what} is not known", location))

    def _middleware(self, name: str, node: Node) -> None:
        kinds = list(node.children())
        if len(kinds) != 1:
            message = f"the middleware {name} has {len(kinds)} kinds, and Traefik takes exactly one"
            self.problems.append(Problem(message, node.place, "write one middleware for each"))
        if not kinds:
            self.parts.middlewares[name] = Middleware(name, "", node, node.place, "it has no kind")
            return
        written, options = kinds[0]
        kind = KINDS.get(written.lower(), written)
        refused = "more than one kind of middleware" if len(kinds) > 1 else refusal(kind, options)
        if kind not in KINDS.values():
            self._strange(f"{name.partition('@')[0]}.{written}", options.place)
        if refused:
            self.problems.append(
                Problem(f"Traefik refuses the middleware {name}: {refused}", options.place, "correct it, or remove it")
            )
        self._empty(kind, options)
        for what, place in unknown_options(kind, options):
            self._strange(f"{kind}.{what}", place)
        self.parts.middlewares[name] = Middleware(name, kind, options, options.place, refused)

    def _empty(self, kind: str, options: Node) -> None:
        """Traefik refuses a whole file that has an empty mapping where options belong."""
        empty = [(kind, options)] if not options.entries and options.scalar is None else []
        empty += [
            (what, child) for what, child in options.children() if child.entries is not None and not child.entries
        ]
        for what, node in empty:
            if what not in EMPTY_ALLOWED:
                message = f"{what} has no options, and Traefik refuses a file with such an element"
                self.problems.append(Problem(message, node.place, "give it an option, or remove it"))
                self.unknown.append(Unknown(f"{what} is empty", node.place))

    def _service(self, name: str, node: Node, provider: str) -> None:
        for kind, body in node.children():
            lower = kind.lower()
            if lower == "loadbalancer":
                self.parts.services[name] = self._load_balancer(name, body)
                return
            if lower in ("weighted", "mirroring", "failover"):
                self.parts.services[name] = self._composed(name, lower, body, provider)
                return
            self._strange(f"service {name}.{kind}", body.place)
        self.parts.services[name] = Service(name, "unknown", node.place)

    def _load_balancer(self, name: str, body: Node) -> Service:
        for what, node in body.children():
            if what.lower() not in LOAD_BALANCER:
                self._strange(f"loadBalancer.{what}", node.place)
        listed = body.get("servers")
        servers = [
            Server(text_of(node.get("url")), (node.get("url") or node).location, flag_of(node.get("preservePath")))
            for node in (listed.sequence() if listed else ())
            if text_of(node.get("url"))
        ]
        return Service(
            name,
            "loadBalancer",
            body.place,
            servers=tuple(servers),
            pass_host=flag_of(body.get("passHostHeader"), default=True),
            sticky=_sticky(body),
            health_check=body.get("healthCheck") is not None,
        )

    def _composed(self, name: str, kind: str, body: Node, provider: str) -> Service:
        def qualified(text: str) -> str:
            return text if "@" in text else f"{text}@{provider}"

        if kind == "weighted":
            listed = body.get("services")
            nodes = listed.sequence() if listed else ()
            parts = [text_of(node.get("name")) for node in nodes if number_of(node.get("weight"), 1) != 0]
            return Service(
                name, "weighted", body.place, parts=tuple(map(qualified, filter(None, parts))), sticky=_sticky(body)
            )
        parts = [text_of(body.get("service"))]
        if kind == "failover":
            parts.append(text_of(body.get("fallback")))
            return Service(name, "failover", body.place, parts=tuple(map(qualified, filter(None, parts))))
        mirrors = body.get("mirrors")
        parts += [text_of(node.get("name")) for node in (mirrors.sequence() if mirrors else ())]
        return Service(name, "mirroring", body.place, parts=tuple(map(qualified, filter(None, parts))))

    def _router(self, name: str, node: Node, provider: str) -> None:
        for what, child in node.children():
            if what.lower() not in ROUTER:
                self._strange(f"router {name}.{what}", child.place)
        text = text_of(node.get("rule"))
        syntax: rules.Syntax = "v2" if text_of(node.get("ruleSyntax"), self.syntax) == "v2" else "v3"
        rule, refused, uncertain = self._rule(name, text, syntax, node)
        wanted = text_of(node.get("service"))
        service = (wanted if "@" in wanted else f"{wanted}@{provider}") if wanted else ""
        tls = node.get("tls")
        enabled = tls is not None and not (tls.is_scalar and tls.text.lower() == "false")
        self.parts.routers[name] = Router(
            name=name,
            rule_text=text,
            rule=rule,
            location=(node.get("rule") or node).place,
            service=service,
            entrypoints=tuple(point for point, _ in list_of(node.get("entryPoints"))),
            middlewares=tuple(
                (item if "@" in item else f"{item}@{provider}", place)
                for item, place in list_of(node.get("middlewares"))
            ),
            priority=number_of(node.get("priority")) or rules.default_priority(text, rule),
            tls=enabled,
            tls_options=text_of(node.get("tls", "options")) if enabled else "",
            syntax=syntax,
            refused=refused,
            uncertain=uncertain,
        )

    def _rule(self, name: str, text: str, syntax: rules.Syntax, node: Node) -> tuple[rules.Rule | None, str, str]:
        place = (node.get("rule") or node).place
        if not text:
            self.problems.append(Problem(f"the router {name} has no rule", place, "write rule: PathPrefix(`/`)"))
            return None, "it has no rule", ""
        if "{{" in text or ("${" in text and syntax == "v3" and "regex" not in text.lower()):
            self.unknown.append(Unknown(f"the rule of {name} holds a template that Traefik fills in", place))
            if "{{" in text:
                return None, "", "its rule holds a template"
        try:
            return rules.parse(text, syntax), "", ""
        except rules.RuleError as error:
            hint = "correct the rule; Traefik leaves the router out until then"
            self.problems.append(Problem(f"the rule of {name} is refused: {error}", place, hint))
            return None, f"its rule is refused: {error}", ""


def _sticky(body: Node) -> str:
    cookie = body.get("sticky", "cookie")
    if body.get("sticky") is None:
        return ""
    return text_of(cookie.get("name"), "_") if cookie is not None else "_"
