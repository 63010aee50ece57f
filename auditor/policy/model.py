"""The policy as it is written (contract, version 1): one pydantic model per kind of clause.

Text becomes values here: durations are seconds, rates requests per second. Cross-references are `validate.py`'s.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from auditor.finding import Severity
from auditor.policy.clauses import (
    Caching,
    Cookie,
    Cors,
    Csp,
    ErrorPages,
    Exposure,
    HeaderRule,
    Hsts,
    Network,
    OnDisallowed,
    OnDisallowedPreflight,
    Origin,
    Preflight,
    PublishedPorts,
    RateLimit,
    Timeouts,
    Tls,
    ValueRule,
    Websocket,
)
from auditor.policy.fields import (
    Address,
    BaseUrl,
    Clause,
    Day,
    Duration,
    DurationRange,
    HeaderName,
    Host,
    Id,
    Method,
    Model,
    PathGlob,
    SeverityWord,
    Status,
    Text,
    Texts,
)

__all__ = [
    "LAYER_TYPES",
    "ROUTE_CLAUSES",
    "TARGET_MODELS",
    "AsgiTarget",
    "Caching",
    "CheckSetting",
    "Clause",
    "ComposeTarget",
    "Cookie",
    "Cors",
    "Csp",
    "DurationRange",
    "EnvTarget",
    "Environment",
    "ErrorPages",
    "Exposure",
    "HeaderRule",
    "Hsts",
    "HttpTarget",
    "LiveLimits",
    "Match",
    "Network",
    "NginxTarget",
    "OnDisallowed",
    "OnDisallowedPreflight",
    "Origin",
    "Policy",
    "Preflight",
    "Probe",
    "Promises",
    "PublishedPorts",
    "RateLimit",
    "Route",
    "Settings",
    "Target",
    "Timeouts",
    "Tls",
    "TraefikTarget",
    "ValueRule",
    "Waiver",
    "Websocket",
    "today",
]


class Settings(Model):
    """How verdicts become an exit status, and which waivers are taken."""

    fail_on: SeverityWord = Severity.MEDIUM
    unknown: Literal["fail", "warn", "ignore"] = "fail"
    unused_waivers: Literal["fail", "warn", "ignore"] = "warn"
    waiver_max_days: Annotated[int, Field(ge=1, le=36500)] = 365
    inline_waivers: Literal["allow", "forbid"] = "allow"


class NginxTarget(Model):
    """An nginx configuration; the first of `files` is the main file, `mounts` maps its paths to files here.

    `variables` fill a template as envsubst does; those of the Compose service that runs it need not be written again.
    """

    id: Id
    type: Literal["nginx"]
    files: Annotated[Texts, Field(min_length=1)]
    prefix: Text = "."
    mounts: dict[str, Text] = Field(default_factory=dict)
    variables: dict[str, str | int] = Field(default_factory=dict)
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")] | None = None


class TraefikTarget(Model):
    """A Traefik configuration: one static file, any number of dynamic ones (globs).

    Without a static file, the arguments of the Compose service that runs Traefik stand for it; its labels count beside.
    """

    id: Id
    type: Literal["traefik"]
    static: Text | None = None
    dynamic: Texts = ()


class ComposeTarget(Model):
    """A Compose project: its files in order, the profiles that are on, the file that fills its variables."""

    id: Id
    type: Literal["compose"]
    files: Annotated[Texts, Field(min_length=1)]
    profiles: Texts = ()
    env_file: Text | None = None


class AsgiTarget(Model):
    """A FastAPI or Starlette application: the Python files that build it, read and never run.

    One `module:object` in place of files is an application that is imported, from the policy's folder or what is
    installed, and asked in process.
    """

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
    resolve: dict[Address, Address] = Field(default_factory=dict)
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


class Promises(Model):
    """The clauses that a route states, and that the top level may state for every route."""

    cors: Cors | None = None
    headers: dict[HeaderName, HeaderRule] = Field(default_factory=dict)
    cookies: dict[str, Cookie] = Field(default_factory=dict)
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


class CheckSetting(Clause):
    """What the policy says about one check: off, or of another severity."""

    enabled: bool = True


class Waiver(Model):
    """An accepted finding: reason, owner, and the last day (UTC) that it is accepted on.

    A fingerprint after `unknown:` is accepted for as long as it is not decided, and no longer when it turns out a violation.
    """

    id: Id
    checks: Annotated[tuple[Id, ...], Field(min_length=1)]
    routes: tuple[Id, ...] = ()
    targets: tuple[Id, ...] = ()
    fingerprints: tuple[Annotated[str, Field(pattern=r"^(unknown:)?[0-9a-f]{8,64}$")], ...] = ()
    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    ticket: Text | None = None
    expires: Day

    def active(self, now: date) -> bool:
        """Whether the waiver still holds on this day (UTC); its last day is included."""
        return now <= self.expires


Variable: TypeAlias = str | bool | int | float


class _Effective(Promises):
    variables: dict[str, Variable] = Field(default_factory=dict)
    settings: Settings = Settings.model_construct()
    layers: tuple[Id, ...] = ()
    routes: tuple[Route, ...] = ()
    error_pages: ErrorPages | None = None
    exposure: Exposure | None = None
    tls: Tls | None = None
    checks: dict[Id, CheckSetting] = Field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


class Environment(_Effective):
    """What differs in one environment, merged over the policy; a target may be named by its id alone."""

    targets: tuple[Id | Target, ...] = ()


class Policy(_Effective):
    """A file of rules that an owner signs."""

    version: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    extends: tuple[Text, ...] = ()
    environments: dict[Id, Environment] = Field(default_factory=dict)
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
