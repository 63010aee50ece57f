"""The clauses that promise something: CORS, headers, limits, caching, WebSockets, errors, exposure, TLS."""

from dataclasses import field, fields, replace
from typing import Annotated, ClassVar, Literal

from auditor.dataclass import dataclass
from auditor.policy import origins
from auditor.policy.document import Node
from auditor.policy.fields import (
    Address,
    Clause,
    Count,
    Duration,
    DurationRange,
    HeaderName,
    Method,
    Path,
    PathGlob,
    Rate,
    Regex,
    ServicePort,
    Status,
    Statuses,
    Texts,
)
from auditor.policy.problems import Mistake, brief
from auditor.policy.shape import Form, Length, Model


def exactly(node: Node) -> Node:
    """Return `{exact: TEXT}` for text, anything else as it is."""
    return replace(node, value={"exact": node}) if isinstance(node.value, str) else node


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin(Model):
    """One item of an allow-list of origins: a string is `exact`; `*` alone is any origin."""

    exact: str | None = None
    pattern: str | None = None
    regex: str | None = None
    acknowledge: Literal["public-suffix"] | None = None

    @classmethod
    def spelt_out(cls, node: Node) -> Node:
        """Take text for an exact origin."""
        if not isinstance(node.value, str | dict):
            raise Mistake("not an origin", "write a string, {pattern: …} or {regex: …}")
        return exactly(node)

    def verify(self) -> None:
        """It is one origin, pattern or expression, and not loose by accident."""
        if sum(item is not None for item in (self.exact, self.pattern, self.regex)) != 1:
            raise Mistake("an origin is a string, {pattern: …} or {regex: …}", "give exactly one of them")
        if self.exact is not None:
            origins.exact(self.exact)
        elif self.pattern is not None:
            origins.pattern(self.pattern, self.acknowledge)
        elif self.regex is not None:
            origins.regex(self.regex)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisallowed(Model):
    """What an answer to a refused origin looks like: one of these statuses, with or without CORS headers."""

    status: Statuses | None = None
    cors_headers: Literal["absent", "any"] = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisallowedPreflight(OnDisallowed):
    """As for any refused origin; by default the statuses that Gateway API's conformance tests accept."""

    status: Statuses | None = (200, 204, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight(Model):
    """What the answer to a preflight looks like (Fetch: any ok status will do)."""

    status: Statuses = (200, 204)
    on_disallowed: OnDisallowedPreflight = field(default_factory=OnDisallowedPreflight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors(Clause):
    """Who may read a route from another origin, and how. A list that is not given is not promised."""

    enabled: bool = True
    allow_origins: tuple[Origin, ...] = ()
    allow_methods: tuple[Method, ...] | None = None
    allow_headers: tuple[HeaderName, ...] | None = None
    expose_headers: tuple[HeaderName, ...] | None = None
    allow_credentials: bool = False
    allow_private_network: bool = False
    max_age: DurationRange | None = None
    vary: tuple[HeaderName, ...] | None = None
    null_origin: Literal["deny", "allow"] = "deny"
    preflight: Preflight = field(default_factory=Preflight)
    on_disallowed_origin: OnDisallowed = field(default_factory=OnDisallowed)
    on_error: Literal["keep", "any"] = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hsts(Model):
    """What Strict-Transport-Security has to say (RFC 6797 §6.1); `min_max_age` in seconds."""

    min_max_age: Duration | None = None
    include_subdomains: bool | None = None
    preload: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Csp(Model):
    """What a Content-Security-Policy has to hold: per directive, sources required and sources forbidden."""

    require: dict[str, Texts] = field(default_factory=dict)
    forbid: dict[str, Texts] = field(default_factory=dict)
    report_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule(Clause):
    """What a header's value has to be; every matcher given must hold. A string is `exact`."""

    exact: str | None = None
    one_of: Annotated[tuple[str, ...], Length(1)] | None = None
    regex: Regex | None = None
    not_regex: Regex | None = None
    contains: Annotated[Texts, Length(1)] | None = None
    not_contain: Annotated[Texts, Length(1)] | None = None

    @classmethod
    def spelt_out(cls, node: Node) -> Node:
        """Take text for the whole value."""
        if isinstance(node.value, bool | int | float):
            raise Mistake(f"{brief(node)} is not text", "put it in quotes")
        return exactly(node)

    @property
    def matchers(self) -> frozenset[str]:
        """The keys given that say something about the value or its presence."""
        return frozenset(
            item.name
            for item in fields(self)
            if item.name not in {"severity", "rationale", "references", "optional"}
            and getattr(self, item.name) is not None
        )

    def verify(self) -> None:
        """There is something to decide."""
        if not self.matchers:
            raise Mistake("says nothing about the value", "give exact, one_of, regex, not_regex, contains …")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRule(ValueRule):
    """What a response header has to be; `optional`: it may also be missing."""

    absent: Literal[True] | None = None
    present: Literal[True] | None = None
    hsts: Hsts | None = None
    csp: Csp | None = None
    optional: bool = False

    NEGATIVE: ClassVar[frozenset[str]] = frozenset({"absent", "not_regex", "not_contain"})

    @property
    def required(self) -> bool:
        """Whether a response without the header breaks the rule: not where it only says what must not be."""
        return not self.optional and bool(self.matchers - self.NEGATIVE)

    def verify(self) -> None:
        """A header that must be absent has no value."""
        ValueRule.verify(self)
        if self.absent and self.matchers != {"absent"}:
            others = ", ".join(sorted(self.matchers - {"absent"}))
            raise Mistake(f"the header cannot be absent and have {others}", "keep one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit(Clause):
    """How much one client may ask: `rate` in requests per second, `burst` in requests; both are upper bounds."""

    rate: Rate
    burst: Count | None = None
    status: Status | None = None
    key: Annotated[
        str,
        Form(r"^(client_ip|header:[A-Za-z0-9-]+)$", "is no key of a limit", "client_ip, or header:NAME"),
    ] = "client_ip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts(Clause):
    """How long the proxy waits for the route's upstream, per phase; `read` lies between two reads."""

    connect: DurationRange | None = None
    send: DurationRange | None = None
    read: DurationRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching(Clause):
    """What caches and compression may do with the route's responses."""

    cache_control: ValueRule | None = None
    compression: Literal["required", "forbidden"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie(Clause):
    """What a cookie set by the route has to carry (RFC 6265bis §4.1)."""

    secure: Literal["required"] | None = None
    http_only: Literal["required"] | None = None
    same_site: Annotated[tuple[Literal["Strict", "Lax", "None"], ...], Length(1)] | None = None
    prefix: Literal["__Host-", "__Secure-"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Websocket(Clause):
    """Which pages may open a WebSocket on the route; the server has to check, no browser does (RFC 6455 §10.2)."""

    allow_origins: tuple[Origin, ...] = ()
    missing_origin: Literal["deny", "allow"] = "deny"
    null_origin: Literal["deny", "allow"] = "deny"
    on_disallowed: OnDisallowed = field(default_factory=OnDisallowed)
    buffering: Literal["off", "on"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPages(Clause):
    """What a client sees when the backend fails."""

    statuses: Statuses = (502, 503, 504)
    served_from: Path | None = None
    contains: Texts = ()
    not_contain: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPorts(Clause):
    """Which ports a Compose project may publish; nothing else. `loopback_only`: on 127.0.0.1 or ::1 alone."""

    allow: tuple[ServicePort, ...] = ()
    loopback_only: tuple[ServicePort, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Clause):
    """What a Compose network has to be; `internal`: no route to the outside world."""

    internal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure(Clause):
    """What must not be reachable, and from where."""

    backends: tuple[Address, ...] = ()
    unreachable: tuple[Address, ...] = ()
    published_ports: PublishedPorts | None = None
    networks: dict[str, Network] = field(default_factory=dict)
    direct_routes: Literal["forbid", "allow"] = "allow"
    unknown_hosts: Literal["refuse", "serve"] = "serve"
    denied_paths: tuple[PathGlob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls(Clause):
    """How plain HTTP and old TLS versions are treated."""

    redirect: Literal["required"] | None = None
    redirect_status: Statuses = (301, 302, 307, 308)
    min_version: Literal["1.0", "1.1", "1.2", "1.3"] | None = None
