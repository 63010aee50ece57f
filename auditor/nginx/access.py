"""The access phase: allow and deny, auth_basic, auth_request, and `satisfy` between them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Action
from auditor.nginx.model import Node
from auditor.nginx.state import Run
from auditor.nginx.tables import Network, forwarded, parse_address, parse_network
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine

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


def by_password(engine: Engine, run: Run) -> int:
    """Return OK, 401, 403 or DECLINED as `ngx_http_auth_basic_handler` does; the password file is not read."""
    directive = run.node.last("auth_basic")
    users = run.node.last("auth_basic_user_file")
    if directive is None or not directive.args or users is None:
        return DECLINED
    realm = engine.variables.value(directive.args[0])(run)
    if realm == "off":
        return DECLINED
    given = run.header.get("authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() == "basic" and token.strip(" ") and engine.variables.get("remote_user")(run):
        pick = run.choose(("password", str(users.location)), 3)
        run.when.append(("password-right", "password-wrong", "file-missing")[pick])
        if pick != 1:
            return OK if pick == 0 else 403
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"') if engine.version >= (1, 23, 4) else realm
    run.add("WWW-Authenticate", f'Basic realm="{escaped}"', directive.location)
    run.note(" ".join(("auth_basic", *directive.args)), directive.location, "asks for a password")
    return 401


def by_request(engine: Engine, run: Run) -> int:
    """Return OK, 401, 403, 500 or DECLINED as `ngx_http_auth_request_handler` does."""
    directive = run.node.last("auth_request")
    if directive is None or not directive.args or directive.args[0] == "off":
        return DECLINED
    uri, _, args = directive.args[0].partition("?")
    status, challenge = engine.subrequest(run, uri, args, directive)
    run.note(" ".join(("auth_request", *directive.args)), directive.location, f"was answered with {status}")
    for assignment in run.node.find("auth_request_set"):
        run.vars[assignment.args[0].lstrip("$").lower()] = engine.last_sub_value(assignment.args[1])
    if status is None:
        return 500
    if status == 401:
        run.sent.extend(challenge)
        return 401
    if status == 403:
        return 403
    return OK if 200 <= status < 300 else 500


def check(engine: Engine, run: Run) -> int:
    """Run the access phase; return OK or the status to end with."""
    node = run.node
    rules = engine.access_rules(node)
    satisfy = node.last("satisfy")
    any_of = satisfy is not None and satisfy.args[:1] == ("any",)
    refused = 0
    checks = (lambda: by_address(run, rules), lambda: by_password(engine, run), lambda: by_request(engine, run))
    for ask in checks:
        result = ask()
        if result == DECLINED:
            continue
        if result == OK:
            if any_of:
                run.drop("www-authenticate")
                return OK
            continue
        if not any_of or result not in {401, 403}:
            run.action = Action("deny")
            return result
        if refused != 401:
            refused = result
    if refused:
        run.action = Action("deny")
    return refused


def real_ip(run: Run, node: Node) -> None:
    """Let a trusted peer name the client (`ngx_http_realip_handler`)."""
    trusted: list[Network] = []
    for directive in node.find("set_real_ip_from"):
        word = directive.args[0] if directive.args else ""
        network = ipaddress.ip_network("0.0.0.0/0") if word == "unix:" else parse_network(word)
        if network is not None:
            trusted.append(network)
    if not trusted or run.real_ip_done:
        return
    source = node.last("real_ip_header")
    name = source.args[0] if source is not None and source.args else "X-Real-IP"
    if name == "proxy_protocol":
        return
    text = run.header.get(name.lower().replace("-", "_"), "")
    peer = parse_address(run.client)
    if not text or peer is None:
        return
    recursive = node.last("real_ip_recursive")
    address = forwarded(peer, text, trusted, recursive=recursive is not None and recursive.args == ("on",))
    if address != peer:
        run.client = str(address)
        run.real_ip_done = True
