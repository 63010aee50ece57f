"""The access phase: allow and deny, auth_basic, auth_request, and `satisfy` between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.exchange import UNKNOWN_VALUE, Action, Unknown
from auditor.nginx.model import Node
from auditor.nginx.state import WAITS_FOR_NOTHING, Run, Undecided
from auditor.nginx.tables import Network, forwarded, parse_address, parse_network
from auditor.nginx.template import Value
from auditor.nginx.tokens import Directive
from auditor.nginx.variables import PROXY_CREDENTIALS, credentials

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine
    from auditor.nginx.variables import Variables

DECLINED, OK = -1, 0
Rule = tuple[Network | str, bool, Directive]


def rules_of(node: Node) -> tuple[Rule, ...]:
    """Return the allow and deny lines that apply, in order: network ("all", "unix:", or ""), whether it allows."""
    result: list[Rule] = []
    for directive in node.find("access rules"):
        word = directive.args[0] if directive.args else ""
        network: Network | str = word
        if word not in {"all", "unix:"}:
            network = parse_network(word) or ""
        result.append((network, directive.name == "allow", directive))
    return tuple(result)


def by_address(run: Run, rules: tuple[Rule, ...]) -> int:
    """Return OK, 403 or DECLINED (no rule speaks of this client) as `ngx_http_access_handler` does."""
    if not rules:
        return DECLINED
    unix = run.client == "unix:"
    address = None if unix else parse_address(run.client)
    for network, allows, directive in rules:
        if network == "all":
            hit = True
        elif network == "unix:":
            hit = unix
        elif isinstance(network, str):
            hit = not unix and run.either(
                f"{directive.name} names a host", directive.location, ("access", str(directive))
            )
        elif UNKNOWN_VALUE in run.client:
            hit = run.either("the client's address is not decided", directive.location, ("access", str(network)))
        else:
            hit = address is not None and address.version == network.version and address in network
        if hit:
            if run.why is not None:
                run.note(
                    " ".join((directive.name, *directive.args)),
                    directive.location,
                    f"{'lets' if allows else 'refuses'} {run.client}{' in' if allows else ''}",
                )
            return OK if allows else 403
    return DECLINED


@dataclass(frozen=True, slots=True)
class Password:
    """`auth_basic` where it is in force: the realm, the file of users, the place."""

    realm: Value
    users: Directive
    directive: Directive


@dataclass(frozen=True, slots=True)
class Access:
    """What the access phase asks at one node."""

    rules: tuple[Rule, ...]
    any_of: bool
    password: Password | None
    subrequest: Directive | None
    assignments: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class RealIp:
    """Whom a node trusts to name the client, and by which header."""

    trusted: tuple[Network, ...]
    header: str
    recursive: bool


def access_of(node: Node, variables: Variables) -> Access | None:
    """Compile the access rules of a node; None where everybody may come in."""
    rules = rules_of(node)
    directive, users = node.last("auth_basic"), node.last("auth_basic_user_file")
    password = None
    if directive is not None and directive.args and directive.args[0] != "off" and users is not None:
        password = Password(variables.value(directive.args[0]), users, directive)
    subrequest = node.last("auth_request")
    if subrequest is not None and (not subrequest.args or subrequest.args[0] == "off"):
        subrequest = None
    if not rules and password is None and subrequest is None:
        return None
    satisfy = node.last("satisfy")
    sets = tuple(
        (line.args[0].lstrip("$").lower(), variables.value(line.args[1])) for line in node.find("auth_request_set")
    )
    return Access(rules, satisfy is not None and satisfy.args[:1] == ("any",), password, subrequest, sets)


def by_password(engine: Engine, run: Run, password: Password | None) -> int:
    """Return OK, 401 (407 to CONNECT), 403 or DECLINED as `ngx_http_auth_basic_handler` does; the password file is not read."""
    if password is None:
        return DECLINED
    realm = password.realm(run)
    if realm == "off":
        return DECLINED
    tunnel = run.method == "CONNECT" and engine.version >= PROXY_CREDENTIALS
    scheme, _, token = credentials(run, engine.version).partition(" ")
    if scheme.lower() == "basic" and token.strip(" ") and engine.variables.get("remote_user")(run):
        pick = run.choose(("password", str(password.users.location)), 3)
        run.when += (("password-right", "password-wrong", "file-missing")[pick],)
        if pick != 1:
            users = password.users.args[0] if password.users.args else ""
            note = (
                f"the password is one of {users}"
                if pick == 0
                else f"there is no file {users} to look up the password: 403"
            )
            run.note(" ".join(("auth_basic", *password.directive.args)), password.directive.location, note)
            return OK if pick == 0 else 403
    name = "Proxy-Authenticate" if tunnel else "WWW-Authenticate"
    run.add(name, f'Basic realm="{realm}"', password.directive.location)
    run.note(" ".join(("auth_basic", *password.directive.args)), password.directive.location, "asks for a password")
    return 407 if tunnel else 401


def by_request(engine: Engine, run: Run, access: Access) -> int:
    """Return OK, 401, 403, 500 or DECLINED as `ngx_http_auth_request_handler` does."""
    directive = access.subrequest
    if directive is None:
        return DECLINED
    if run.cut_short:
        run.note(" ".join(("auth_request", *directive.args)), directive.location, WAITS_FOR_NOTHING)
        return 444
    uri, _, args = directive.args[0].partition("?")
    sub = engine.subrequest(run, uri, args)
    response = sub.result.response if sub.result is not None else None
    if response is None:
        return 500 if sub.ended == 200 else 444
    status = response.status
    if status is None:
        raise Undecided(Unknown("the answer to auth_request is not decided", directive.location))
    run.note(" ".join(("auth_request", *directive.args)), directive.location, f"was answered with {status}")
    for name, value in access.assignments:
        run.vars[name] = value(sub)
    if status == 401:
        run.sent.extend(line for line in response.headers if line.name.lower() == "www-authenticate")
    if status in {401, 403}:
        return status
    return OK if 200 <= status < 300 else 500


def check(engine: Engine, run: Run, access: Access) -> int:
    """Run the access phase; return OK or the status to end with."""
    refused = 0
    checks: tuple[Callable[[], int], ...] = (
        lambda: by_address(run, access.rules),
        lambda: by_password(engine, run, access.password),
        lambda: by_request(engine, run, access),
    )
    for ask in checks:
        result = ask()
        if result == DECLINED:
            continue
        if result == OK:
            if access.any_of:
                run.note("satisfy any", None, "one yes is enough")
                run.drop("www-authenticate")
                return OK
            continue
        if not access.any_of or result not in {401, 403}:
            run.action = Action("deny")
            return result
        if refused != 401:
            refused = result
    if refused:
        run.action = Action("deny")
        run.note("satisfy any", None, f"nobody lets the request in: {refused}")
    return refused


def real_ip_of(node: Node) -> RealIp | None:
    """Compile `set_real_ip_from` and what goes with it; None where nobody is trusted."""
    trusted = []
    for directive in node.find("set_real_ip_from"):
        network = parse_network(directive.args[0] if directive.args else "")
        if network is not None:
            trusted.append(network)
    source = node.last("real_ip_header")
    name = source.args[0] if source is not None and source.args else "X-Real-IP"
    if not trusted or name == "proxy_protocol":
        return None
    recursive = node.last("real_ip_recursive")
    key = name.lower()
    key = key.replace("-", "_") if key == "x-forwarded-for" else key
    return RealIp(tuple(trusted), key, recursive is not None and recursive.args == ("on",))


def real_ip(run: Run, trust: RealIp | None) -> None:
    """Let a trusted peer name the client (`ngx_http_realip_handler`)."""
    if trust is None or run.real_ip_done:
        return
    text = run.header.get(trust.header, "") if trust.header == "x_forwarded_for" else run.first(trust.header)
    peer = parse_address(run.client)
    if not text or peer is None:
        return
    address = forwarded(peer, text, trust.trusted, recursive=trust.recursive)
    if address != peer:
        run.client = str(address)
        run.real_ip_done = True
