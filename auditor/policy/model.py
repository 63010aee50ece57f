"""The policy as it is written (contract, version 1): one pydantic model per kind of clause.

Text becomes values here: durations are seconds, rates requests per second. Cross-references are `validate.py`'s.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from auditor.finding import Severity
from auditor.policy import origins, values


def _custom(message: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("policy", "{message}", {"message": message, "hint": hint})


def _severity(value: object) -> Severity:
    if isinstance(value, Severity):
        return value
    words = [severity.word for severity in Severity]
    if value not in words:
        raise PydanticCustomError("choice", "", {"value": str(value), "choices": words})
    return Severity[str(value).upper()]


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise _custom(f"{value!r} is not text", f"such as {example}")
    return value


def _duration(value: object) -> float:
    return values.duration(_text(value, "5s or 24h"))


def _rate(value: object) -> float:
    return values.rate(_text(value, "10/s or 60/m"))


def _day(value: object) -> date:
    text = _text(value, "2027-02-01")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise _custom(f"{text!r} is not a date", "year-month-day, such as 2027-02-01")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _custom(f"{text!r} is not a date: {error}", "year-month-day, such as 2027-02-01") from None


def _address(text: str) -> str:
    values.host_port(text)
    return text


def _service_port(text: str) -> str:
    service, separator, port = text.rpartition(":")
    if not separator or not service or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
        raise ValueError(f"{text!r} is not service:port, such as edge:443")
    return text


def _base_url(text: str) -> str:
    found = re.fullmatch(r"(https?)://([^/?#@\s]+)/?", text)
    if not found:
        raise ValueError(f"{text!r} is not http://host or https://host, with or without a port")
    values.host_port(found[2] if re.search(r":[0-9]+$", found[2]) else f"{found[2]}:80")
    return text.rstrip("/")


SeverityWord: TypeAlias = Annotated[
    Severity,
    BeforeValidator(_severity),
    WithJsonSchema({"type": "string", "enum": [severity.word for severity in Severity]}),
]
Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$", "examples": ["5s", "24h"]}),
]
Rate: TypeAlias = Annotated[
    float,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?r?/[smhd]$", "examples": ["10/s", "60/m"]}),
]
Day: TypeAlias = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Id: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]
ServicePort: TypeAlias = Annotated[str, AfterValidator(_service_port)]
BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
Host: TypeAlias = Annotated[str, AfterValidator(values.host)]
Method: TypeAlias = Annotated[str, AfterValidator(values.method)]
HeaderName: TypeAlias = Annotated[str, AfterValidator(values.field_name)]
PathGlob: TypeAlias = Annotated[str, AfterValidator(values.path_glob)]
Regex: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(values.regular_expression)]
Status: TypeAlias = Annotated[int, Field(ge=100, le=599)]
Statuses: TypeAlias = Annotated[tuple[Status, ...], Field(min_length=1)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]
Texts: TypeAlias = tuple[Text, ...]


class Model(BaseModel):
    """Settings of every model: unknown keys are errors, nothing is converted, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Clause(Model):
    """What every promise may say about itself."""

    severity: SeverityWord | None = None
    rationale: Text | None = None
    references: Texts = ()


class DurationRange(Clause):
    """Bounds of a duration in seconds, both inclusive."""

    min: Duration | None = None
    max: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str):
            raise _custom(f"{value!r} is one duration, not bounds", f"write {{max: {value}}} or {{min: {value}}}")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> DurationRange:
        if self.min is None and self.max is None:
            raise _custom("states no bound", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise _custom("min is greater than max", "swap them")
        return self


class Settings(Model):
    """How verdicts become an exit status, and which waivers are taken."""

    fail_on: SeverityWord = Severity.MEDIUM
    unknown: Literal["fail", "warn", "ignore"] = "fail"
    unused_waivers: Literal["fail", "warn", "ignore"] = "warn"
    waiver_max_days: Annotated[int, Field(ge=1, le=36500)] = 365
    inline_waivers: Literal["allow", "forbid"] = "allow"


class NginxTarget(Model):
    """An nginx configuration; the first of `files` is the main file, `mounts` maps its paths to files here."""

    id: Id
    type: Literal["nginx"]
    files: Annotated[Texts, Field(min_length=1)]
    prefix: Text = "."
    mounts: dict[str, Text] = {}
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")] | None = None


class TraefikTarget(Model):
    """A Traefik configuration: one static file, any number of dynamic ones (globs)."""

    id: Id
    type: Literal["traefik"]
    static: Text | None = None
    dynamic: Texts = ()

    @model_validator(mode="after")
    def _something(self) -> TraefikTarget:
        if self.static is None and not self.dynamic:
            raise _custom("names no file", "give static, dynamic or both")
        return self


class ComposeTarget(Model):
    """A Compose project: its files in order, the profiles that are on, the file that fills its variables."""

    id: Id
    type: Literal["compose"]
    files: Annotated[Texts, Field(min_length=1)]
    profiles: Texts = ()
    env_file: Text | None = None


class AsgiTarget(Model):
    """A FastAPI or Starlette application: the Python files that build it, read and never run."""

    id: Id
    type: Literal["asgi"]
    files: Annotated[Texts, Field(min_length=1)]


class EnvTarget(Model):
    """Environment files of a browser-side build: where the front end believes the backend is."""

    id: Id
    type: Literal["env"]
    files: Annotated[Texts, Field(min_length=1)]


class LiveLimits(Model):
    """What a live audit may cost its target; `timeout` in seconds."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 20.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    timeout: Duration = 5.0
    max_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 500


class HttpTarget(Model):
    """A running stack: its entrypoints are the scope, no request leaves them. `resolve` is curl's --connect-to."""

    id: Id
    type: Literal["http"]
    entrypoints: Annotated[dict[str, BaseUrl], Field(min_length=1)]
    resolve: dict[Address, Address] = {}
    limits: LiveLimits = LiveLimits.model_construct()
    allow_unsafe_methods: bool = False


Target: TypeAlias = Annotated[
    NginxTarget | TraefikTarget | ComposeTarget | AsgiTarget | EnvTarget | HttpTarget, Field(discriminator="type")
]
TARGET_MODELS: dict[str, type[Model]] = {
    "nginx": NginxTarget,
    "traefik": TraefikTarget,
    "compose": ComposeTarget,
    "asgi": AsgiTarget,
    "env": EnvTarget,
    "http": HttpTarget,
}
LAYER_TYPES = frozenset({"nginx", "traefik", "asgi"})


class Match(Model):
    """Requests that a route is about; every key given must hold, an absent one holds for all."""

    hosts: Annotated[tuple[Host, ...], Field(min_length=1)] | None = None
    paths: Annotated[tuple[PathGlob, ...], Field(min_length=1)] | None = None
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] | None = None


class Probe(Model):
    """A concrete request that stands for the globs of its route on a running stack."""

    path: Annotated[str, Field(pattern=r"^/[!-~]*$")]
    method: Method = "GET"
    host: Host | None = None
    expect_status: Status | None = None


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
            raise _custom("not an origin", "write a string, {pattern: …} or {regex: …}")
        return {"exact": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _valid(self) -> Origin:
        if sum(item is not None for item in (self.exact, self.pattern, self.regex)) != 1:
            raise _custom("an origin is a string, {pattern: …} or {regex: …}", "give exactly one of them")
        try:
            if self.exact is not None:
                origins.exact(self.exact)
            elif self.pattern is not None:
                origins.pattern(self.pattern, self.acknowledge)
            elif self.regex is not None:
                origins.regex(self.regex)
        except origins.OriginError as error:
            raise _custom(str(error), error.hint) from None
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

    require: dict[str, Texts] = {}
    forbid: dict[str, Texts] = {}
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
            raise _custom(f"{value!r} is not text", "put it in quotes")
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
    def _decidable(self) -> ValueRule:
        if not self.matchers:
            raise _custom("says nothing about the value", "give exact, one_of, regex, not_regex, contains …")
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
    def _consistent(self) -> HeaderRule:
        if self.absent and self.matchers != {"absent"}:
            others = ", ".join(sorted(self.matchers - {"absent"}))
            raise _custom(f"the header cannot be absent and have {others}", "keep one of them")
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


class Promises(Model):
    """The clauses that a route states, and that the top level may state for every route."""

    cors: Cors | None = None
    headers: dict[HeaderName, HeaderRule] = {}
    cookies: dict[str, Cookie] = {}
    rate_limit: RateLimit | None = None
    timeouts: Timeouts | None = None
    keepalive: Literal["required"] | None = None
    caching: Caching | None = None


class Route(Promises):
    """Requests that are alike to their owner, and what is promised about them; the first route that matches decides."""

    id: Id
    match: Annotated[tuple[Match, ...], Field(min_length=1)]
    probes: tuple[Probe, ...] = ()
    served_by: Address | None = None
    websocket: Websocket | None = None


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
    networks: dict[str, Network] = {}
    direct_routes: Literal["forbid", "allow"] = "allow"
    denied_paths: tuple[PathGlob, ...] = ()


class Tls(Clause):
    """How plain HTTP and old TLS versions are treated."""

    redirect: Literal["required"] | None = None
    redirect_status: Statuses = (301, 302, 307, 308)
    min_version: Literal["1.0", "1.1", "1.2", "1.3"] | None = None


class CheckSetting(Clause):
    """What the policy says about one check: off, or of another severity."""

    enabled: bool = True


class Waiver(Model):
    """An accepted finding: reason, owner, and the last day (UTC) that it is accepted on."""

    id: Id
    checks: Annotated[tuple[Id, ...], Field(min_length=1)]
    routes: tuple[Id, ...] = ()
    targets: tuple[Id, ...] = ()
    fingerprints: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")], ...] = ()
    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    ticket: Text | None = None
    expires: Day

    def active(self, now: date) -> bool:
        """Whether the waiver still holds on this day (UTC); its last day is included."""
        return now <= self.expires


Variable: TypeAlias = str | bool | int | float


class _Effective(Promises):
    variables: dict[str, Variable] = {}
    settings: Settings = Settings.model_construct()
    layers: tuple[Id, ...] = ()
    routes: tuple[Route, ...] = ()
    error_pages: ErrorPages | None = None
    exposure: Exposure | None = None
    tls: Tls | None = None
    checks: dict[Id, CheckSetting] = {}
    waivers: tuple[Waiver, ...] = ()


class Environment(_Effective):
    """What differs in one environment, merged over the policy; a target may be named by its id alone."""

    targets: tuple[Id | Target, ...] = ()


class Policy(_Effective):
    """A file of rules that an owner signs."""

    version: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    extends: tuple[Text, ...] = ()
    environments: dict[Id, Environment] = {}
    targets: tuple[Target, ...] = ()

    def route(self, name: str) -> Route | None:
        """Return the route with this id, or None."""
        return next((route for route in self.routes if route.id == name), None)

    def target(self, name: str) -> Any | None:
        """Return the target with this id, or None."""
        return next((target for target in self.targets if target.id == name), None)


ROUTE_CLAUSES = tuple(Promises.model_fields)
"""The keys that the top level may state for every route."""


def today() -> date:
    """Return the date in UTC, which waivers are held against."""
    return datetime.now(UTC).date()
