"""The clauses that promise something: CORS, headers, limits, caching, WebSockets, errors, exposure, TLS."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from auditor.policy import origins
from auditor.policy.fields import (
    Address,
    Clause,
    Count,
    Duration,
    DurationRange,
    HeaderName,
    Method,
    Model,
    PathGlob,
    Rate,
    Regex,
    ServicePort,
    Status,
    Statuses,
    Texts,
    mistake,
)


class Origin(Model):
    """One item of an allow-list of origins: a string is `exact`; `*` alone is any origin."""

    exact: str | None = None
    pattern: str | None = None
    regex: str | None = None
    acknowledge: Literal["public-suffix"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str | dict | Origin):
            raise mistake("not an origin", "write a string, {pattern: …} or {regex: …}")
        return {"exact": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _valid(self) -> Self:
        if sum(item is not None for item in (self.exact, self.pattern, self.regex)) != 1:
            raise mistake("an origin is a string, {pattern: …} or {regex: …}", "give exactly one of them")
        try:
            if self.exact is not None:
                origins.exact(self.exact)
            elif self.pattern is not None:
                origins.pattern(self.pattern, self.acknowledge)
            elif self.regex is not None:
                origins.regex(self.regex)
        except origins.OriginError as error:
            raise mistake(str(error), error.hint) from None
        return self


class OnDisallowed(Model):
    """What an answer to a refused origin looks like: one of these statuses, with or without CORS headers."""

    status: Statuses | None = None
    cors_headers: Literal["absent", "any"] = "absent"


class OnDisallowedPreflight(OnDisallowed):
    """As for any refused origin; by default the statuses that Gateway API's conformance tests accept."""

    status: Statuses | None = (200, 204, 403)


class Preflight(Model):
    """What the answer to a preflight looks like (Fetch: any ok status will do)."""

    status: Statuses = (200, 204)
    on_disallowed: OnDisallowedPreflight = OnDisallowedPreflight.model_construct()


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
    preflight: Preflight = Preflight.model_construct()
    on_disallowed_origin: OnDisallowed = OnDisallowed.model_construct()
    on_error: Literal["keep", "any"] = "any"


class Hsts(Model):
    """What Strict-Transport-Security has to say (RFC 6797 §6.1); `min_max_age` in seconds."""

    min_max_age: Duration | None = None
    include_subdomains: bool | None = None
    preload: bool | None = None


class Csp(Model):
    """What a Content-Security-Policy has to hold: per directive, sources required and sources forbidden."""

    require: dict[str, Texts] = Field(default_factory=dict)
    forbid: dict[str, Texts] = Field(default_factory=dict)
    report_only: bool = False


class ValueRule(Clause):
    """What a header's value has to be; every matcher given must hold. A string is `exact`."""

    exact: str | None = None
    one_of: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    regex: Regex | None = None
    not_regex: Regex | None = None
    contains: Annotated[Texts, Field(min_length=1)] | None = None
    not_contain: Annotated[Texts, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, bool | int | float):
            raise mistake(f"{value!r} is not text", "put it in quotes")
        return {"exact": value} if isinstance(value, str) else value

    @property
    def matchers(self) -> frozenset[str]:
        """The keys given that say something about the value or its presence."""
        return frozenset(
            name
            for name in type(self).model_fields
            if name not in {"severity", "rationale", "references", "optional"} and getattr(self, name) is not None
        )

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if not self.matchers:
            raise mistake("says nothing about the value", "give exact, one_of, regex, not_regex, contains …")
        return self


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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.absent and self.matchers != {"absent"}:
            others = ", ".join(sorted(self.matchers - {"absent"}))
            raise mistake(f"the header cannot be absent and have {others}", "keep one of them")
        return self


class RateLimit(Clause):
    """How much one client may ask: `rate` in requests per second, `burst` in requests; both are upper bounds."""

    rate: Rate
    burst: Count | None = None
    status: Status | None = None
    key: Annotated[str, Field(pattern=r"^(client_ip|header:[A-Za-z0-9-]+)$")] = "client_ip"


class Timeouts(Clause):
    """How long the proxy waits for the route's upstream, per phase; `read` lies between two reads."""

    connect: DurationRange | None = None
    send: DurationRange | None = None
    read: DurationRange | None = None


class Caching(Clause):
    """What caches and compression may do with the route's responses."""

    cache_control: ValueRule | None = None
    compression: Literal["required", "forbidden"] | None = None


class Cookie(Clause):
    """What a cookie set by the route has to carry (RFC 6265bis §4.1)."""

    secure: Literal["required"] | None = None
    http_only: Literal["required"] | None = None
    same_site: Annotated[tuple[Literal["Strict", "Lax", "None"], ...], Field(min_length=1)] | None = None
    prefix: Literal["__Host-", "__Secure-"] | None = None


class Websocket(Clause):
    """Which pages may open a WebSocket on the route; the server has to check, no browser does (RFC 6455 §10.2)."""

    allow_origins: tuple[Origin, ...] = ()
    missing_origin: Literal["deny", "allow"] = "deny"
    null_origin: Literal["deny", "allow"] = "deny"
    on_disallowed: OnDisallowed = OnDisallowed.model_construct()
    buffering: Literal["off", "on"] | None = None


class ErrorPages(Clause):
    """What a client sees when the backend fails."""

    statuses: Statuses = (502, 503, 504)
    served_from: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = None
    contains: Texts = ()
    not_contain: Texts = ()


class PublishedPorts(Clause):
    """Which ports a Compose project may publish; nothing else. `loopback_only`: on 127.0.0.1 or ::1 alone."""

    allow: tuple[ServicePort, ...] = ()
    loopback_only: tuple[ServicePort, ...] = ()


class Network(Clause):
    """What a Compose network has to be; `internal`: no route to the outside world."""

    internal: bool


class Exposure(Clause):
    """What must not be reachable, and from where."""

    backends: tuple[Address, ...] = ()
    unreachable: tuple[Address, ...] = ()
    published_ports: PublishedPorts | None = None
    networks: dict[str, Network] = Field(default_factory=dict)
    direct_routes: Literal["forbid", "allow"] = "allow"
    unknown_hosts: Literal["refuse", "serve"] = "serve"
    denied_paths: tuple[PathGlob, ...] = ()


class Tls(Clause):
    """How plain HTTP and old TLS versions are treated."""

    redirect: Literal["required"] | None = None
    redirect_status: Statuses = (301, 302, 307, 308)
    min_version: Literal["1.0", "1.1", "1.2", "1.3"] | None = None
