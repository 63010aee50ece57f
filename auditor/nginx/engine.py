"""The phases of a request, one after the other, as nginx runs them (`ngx_http_core_run_phases`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Headers, Outcome, Response, Setting, Unknown
from auditor.nginx import access, content, errors, explaining, limits
from auditor.nginx.compression import size_matters
from auditor.nginx.disk import Disk
from auditor.nginx.gates import Gate, gate_of
from auditor.nginx.headers import escaped_name, filter_body, filter_headers, lines_of
from auditor.nginx.in_force import headers_lost, settings_shown
from auditor.nginx.input_headers import more_input
from auditor.nginx.model import PASSES, Listen, Node
from auditor.nginx.rewrite import SENT, STOP, run_program, set_location
from auditor.nginx.select import REDIRECT, find_location
from auditor.nginx.settings import Settings, settings_of
from auditor.nginx.state import LAYER, Run, Undecided
from auditor.nginx.template import ScriptError, Value
from auditor.nginx.upstream import peers_of, proxy
from auditor.nginx.uri import escape
from auditor.nginx.variables import Variables

if TYPE_CHECKING:
    from auditor.nginx.compile import Http
    from auditor.nginx.proxy import Passing
    from auditor.nginx.tokens import Directive

Phase = Callable[[Run], "Phase | None"]
READ_ONLY = frozenset({"GET", "HEAD"})


class Engine:
    """Runs requests through one configuration; holds nothing of any request."""

    def __init__(self, http: Http, version: tuple[int, ...], disk: Disk) -> None:
        """Prepare for a configuration."""
        self.http = http
        self.version = version
        self.disk = disk
        self.version_text = ".".join(map(str, version))
        self.charsets = frozenset(
            arg.lower()
            for node in (http.node, *(node for server in http.servers for node in server.below()))
            for name in ("charset", "source_charset", "charset_map")
            for line in node.own.get(name, ())
            for arg in line.args
        )
        self.variables = Variables(http, version, {name[1:].strip("{}") for name in self.charsets if name[:1] == "$"})
        self.values: dict[str, Value] = {}
        self.names: dict[int, str] = {}
        self.shown: dict[int, tuple[dict[str, Setting], tuple[Field, ...]]] = {}
        self.tries: dict[int, content.TryFiles | None] = {}
        self.passings: dict[tuple[int, str], Passing | None] = {}

    def settings(self, node: Node) -> Settings:
        """Return what applies at a node."""
        return node.settings or settings_of(node, self.variables)

    def value(self, text: str) -> Value:
        """Compile a text with variables, once."""
        known = self.values.get(text)
        if known is None:
            known = self.values[text] = self.variables.value(text)
        return known

    def peers(self, address: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the servers and backups behind the name of an `upstream` block; none where there is no such block."""
        block = self.http.upstreams.get(address.lower())
        return peers_of(block) if block is not None else ((), ())

    def read_hash(self, run: Run, address: str) -> None:
        """Read the variables by which an `upstream` block chooses a server, which captures and caches may show later."""
        block = self.http.upstreams.get(address.lower())
        for line in (block.block or ()) if block is not None else ():
            if line.name == "hash" and line.args:
                self.value(line.args[0])(run)

    # ------------------------------------------------------------------ the loop

    def run(self, run: Run, phase: Phase | None) -> None:
        """Run phases until the answer is complete."""
        try:
            while phase is not None:
                phase = phase(run)
        except ScriptError as error:
            run.note("", None, f"{error}, and nginx gives up on the header lines")
            self.close(run, 444)
        except Undecided as undecided:
            run.unknown += (undecided.unknown,)
            run.action = Action("unknown", run.action.upstream)
            run.result = self.outcome(run, Response(None, Headers(), None, further_headers=True))

    def server_rewrite(self, run: Run) -> Phase | None:
        """Run the server's own rewrite directives."""
        run.node = run.server
        run.handler = None
        return self._after_program(run, run_program(run, run.server, self.variables), self.find_config)

    def _after_program(self, run: Run, result: int, following: Phase) -> Phase | None:
        if result == STOP:
            return following
        if run.why is not None:
            explaining.unreached(run, run.node)
        if result == SENT:
            return self.send(run)
        return errors.finish(self, run, result)

    def find_config(self, run: Run) -> Phase | None:
        """Choose the location."""
        run.handler = None
        run.uri_changed = False
        node, how = find_location(run, run.server)
        run.node = node
        settings = self.settings(node)
        if run.why is not None:
            run.note(node.label, node.place, explaining.why_chosen(node, how))
            explaining.others(run, node, how)
        if settings.unknowns:
            self._doubts(run, settings)
        if not run.internal and settings.internal:
            run.note("internal", node.place, "this location is not for requests from outside: 404")
            return errors.finish(self, run, 404)
        node = self._enter(run, node)
        settings = self.settings(node)
        length = 0 if run.discarded or run.chunked else run.announced
        if settings.max_body and length > settings.max_body:
            if run.main and not run.sent_on:  # a body that an upstream was sent is not thrown away any more
                run.discarded = True
                run.discard_body()
            return errors.finish(self, run, 413)
        if how == REDIRECT:
            target = escaped_name(node.enclosing().name) + (f"?{run.args}" if run.args else "")
            set_location(run, target, node.enclosing().place)
            run.action = Action("redirect")
            run.note(node.label, node.place, "nginx adds the missing slash by itself: 301")
            return errors.finish(self, run, 301)
        return self.rewrite

    def _doubts(self, run: Run, settings: Settings) -> None:
        for unknown in settings.unknowns:
            if unknown not in run.unknown:
                run.unknown += (unknown,)

    def _enter(self, run: Run, node: Node) -> Node:
        """Make a node the one in force (`ngx_http_update_location_config`)."""
        excepts = node.own.get("limit_except")
        if excepts:
            allowed = {arg.upper() for arg in excepts[-1].args}
            if "GET" in allowed:
                allowed.add("HEAD")
            if run.verb not in allowed:
                child = node.children[id(excepts[-1])]
                run.note(child.label, child.place, f"takes over: {run.method} is not listed")
                if run.why is not None:
                    explaining.excepted(run, node)
                run.node = child
                run.enter(child)
                if child.handler is not None:
                    run.handler = child
                elif node.handler is not None and node.handler.name in PASSES:
                    run.handler = node
                return child
        run.enter(node)
        if node.handler is not None:
            run.handler = node
        return node

    def rewrite(self, run: Run) -> Phase | None:
        """Run the location's rewrite directives; a changed URI is located again."""
        node = run.node
        if node.kind != "server" and node.script:
            result = run_program(run, node, self.variables)
            if result != STOP:
                return self._after_program(run, result, self.preaccess)
        if run.uri_changed:
            run.uri_changes -= 1
            if run.uri_changes == 0:
                run.note("", None, "the URI changed more than ten times: 500")
                return errors.finish(self, run, 500)
            run.leave()
            return self.find_config
        return self.preaccess

    def gate(self, node: Node) -> Gate:
        """Return what stands before the content of a node, compiled once."""
        gate: Gate | None = node.gate
        if gate is None:
            gate = node.gate = gate_of(node, self.http, self.variables)
        return gate

    def preaccess(self, run: Run) -> Phase | None:
        """End the rewrite phase, name the client, and count the request by `limit_req`."""
        gate = self.gate(run.node)
        if gate.open:
            return self.precontent
        if run.main:
            if gate.input_headers:
                more_input(self, run, gate.input_headers)
            access.real_ip(run, gate.real_ip)
        if gate.requests and not run.limit_req_done:
            status = limits.apply(run, gate.requests, "limit_req")
            if status is not None:
                return run.fork(2, partial(self._limited, status, self.connections))
        return self.connections

    def connections(self, run: Run) -> Phase | None:
        """Count the request by `limit_conn`."""
        gate = self.gate(run.node)
        if gate.connections and not run.limit_conn_done:
            status = limits.apply(run, gate.connections, "limit_conn")
            if status is not None:
                return run.fork(2, partial(self._limited, status, self.access))
        return self.access

    def _limited(self, status: int, following: Phase, run: Run, pick: int) -> Phase | None:
        if pick == 0:
            return following
        run.when += ("limited",)
        run.action = Action("deny")
        run.note("", None, f"over the limit: {status}")
        return errors.finish(self, run, status)

    def access(self, run: Run) -> Phase | None:
        """Ask who may come in."""
        rules = self.gate(run.node).access
        if run.main and rules is not None:
            status = access.check(self, run, rules)
            if status > 0:
                return errors.finish(self, run, status)
        return self.precontent

    def precontent(self, run: Run) -> Phase | None:
        """Try files."""
        if "try_files" not in run.node.own:
            return self.content
        what = self.tries.get(id(run.node))
        if what is None:
            what = self.tries[id(run.node)] = content.try_files_of(self, run.node)
        return self.content if what is None else content.try_files(self, what, 0, run)

    def content(self, run: Run) -> Phase | None:
        """Run the content handler."""
        handler = run.handler
        if handler is None or handler.handler is None:
            return content.serve(self, run)
        if handler.handler.name in PASSES:
            return proxy(self, run)
        return self._other(run, handler.handler)

    def _other(self, run: Run, directive: Directive) -> Phase | None:
        if directive.name in {"empty_gif", "stub_status"}:
            if run.verb not in READ_ONLY:
                return errors.finish(self, run, 405)
            run.action = Action("static")
            run.status = 200
            if directive.name == "empty_gif":
                run.content_type, run.content_length = "image/gif", "43"
                run.last_modified = "Mon, 28 Sep 1970 06:00:00 GMT"
            else:
                run.content_type, run.content_length = "text/plain", UNKNOWN_VALUE
            return self.send(run)
        raise Undecided(Unknown(f"{directive.name} is not evaluated", directive.location))

    # ------------------------------------------------------------------ ways to go on

    def finish(self, run: Run, status: int) -> Phase | None:
        """End with a status."""
        return errors.finish(self, run, status)

    def redirect(self, run: Run, uri: str, args: str) -> Phase | None:
        """Go on with another URI inside nginx (`ngx_http_internal_redirect`)."""
        run.uri_changes -= 1
        if run.uri_changes == 0:
            return errors.finish(self, run, 500)
        run.leave()
        run.uri, run.args = uri, args
        run.upstream.address = ""
        run.enter(run.server)
        run.parsed = False
        run.node = run.server
        run.internal = True
        run.faithful = False
        run.add_uri_to_alias = False
        run.valid_location = True
        return self.server_rewrite

    def named(self, run: Run, name: str) -> Phase | None:
        """Go on in a named location (`ngx_http_named_location`)."""
        run.uri_changes -= 1
        if run.uri_changes == 0 or not run.uri:
            return errors.finish(self, run, 500)
        node = run.server.named.get(name)
        if node is None:
            run.note(name, None, "there is no such location: 500")
            return errors.finish(self, run, 500)
        run.leave()
        run.internal = True
        run.uri_changed = False
        run.upstream.address = ""
        run.handler = None
        run.node = node
        settings = self.settings(node)
        if settings.unknowns:
            self._doubts(run, settings)
        run.note(node.label, node.place, "is chosen by name")
        self._enter(run, node)
        return self.rewrite

    # ------------------------------------------------------------------ subrequests

    def subrequest(self, run: Run, uri: str, args: str) -> Run:
        """Run a subrequest (`auth_request`) and return it; its choices are the main request's."""
        sub = Run(run.request, run.listen, run.server, run.server)
        sub.ask, sub.asked = run.ask, run.asked
        sub.method, sub.uri, sub.args = "GET" if run.method != "HEAD" else "HEAD", uri, args
        sub.raw_uri, sub.host, sub.header, sub.client = run.raw_uri, run.host, run.header, run.client
        sub.header_lines, sub.vars, sub.version = run.header_lines, run.vars, run.version
        sub.escaped, sub.internal, sub.faithful, sub.main = False, True, False, False
        sub.limit_req_done, sub.limit_conn_done = run.limit_req_done, run.limit_conn_done
        sub.facts, sub.path, sub.taken, sub.pending = run.facts, run.path, run.taken, run.pending
        sub.files, sub.budget, sub.evaluate, sub.look = run.files, run.budget, run.evaluate, run.look
        sub.when, sub.limits, sub.unknown, sub.why = run.when, run.limits, run.unknown, run.why
        sub.http, sub.line_read, sub.authorising = run.http, True, True
        sub.head = run.method == "HEAD"
        sub.asked_as = run.method if run.asked_as is None else run.asked_as
        sub.browsers = run.browsers
        sub.length, sub.chunked, sub.announced = run.length, run.chunked, run.announced
        self.run(sub, self.server_rewrite)
        run.limit_req_done, run.limit_conn_done = sub.limit_req_done, sub.limit_conn_done
        run.when, run.limits, run.unknown = sub.when, sub.limits, sub.unknown
        return sub

    # ------------------------------------------------------------------ answers

    def send(self, run: Run) -> Phase | None:
        """Complete the answer, unless a filter ends it with another status."""
        status = filter_headers(self, run)
        if not status and size_matters(self, run):
            return run.fork(2, self._sized)
        return self._complete(run, status)

    def _sized(self, run: Run, pick: int) -> Phase | None:
        """Go on with an answer that is large enough to be compressed, or is not."""
        run.small = pick == 1
        if run.small:
            run.when += ("file-small",)
        return self._complete(run, 0)

    def _complete(self, run: Run, status: int) -> Phase | None:
        status = status or filter_body(self, run)
        if status:
            if status == 412:
                run.sent = []
                run.redirect = None
                run.last_modified = None
                run.gzip_vary = False
                run.given_charset = run.override_charset = ""
                run.cut_short = True
            return errors.special(self, run, status)
        if run.status in {204, 304}:
            run.body = ""
        fields = lines_of(self, run)
        run.result = self.outcome(
            run, Response(run.status, Headers(fields), run.body, further_headers=run.further, absent=run.absent)
        )
        return None

    def close(self, run: Run, status: int) -> Phase | None:
        """Close the connection without an answer."""
        run.action = Action("close")
        run.ended = status
        run.note("", None, "the connection is closed without an answer")
        run.result = self.outcome(run, None)
        return None

    def outcome(self, run: Run, response: Response | None) -> Outcome:
        """Put together what is known of this outcome."""
        node = run.node.enclosing()
        limits_, why, unknown = run.limits, tuple(run.why or ()), run.unknown
        settings, lost = self._in_force(run.node)
        for inner in run.inner:
            limits_, why, unknown = limits_ + inner.limits, why + inner.why, unknown + inner.unknown
        return Outcome(
            when=run.cases(),
            response=response,
            action=run.action,
            layer=LAYER,
            server=self._name(run.server),
            location=self._name(node) if node.kind == "location" else None,
            selected=node.place,
            upstream_request=run.upstream_request,
            limits=limits_,
            settings=settings,
            lost=lost,
            why=why,
            unknown=unknown,
        )

    def _name(self, node: Node) -> str:
        """Return a server's names, or a location's modifier and name, as one text; made once a node."""
        known = self.names.get(id(node))
        if known is None:
            names = " ".join(arg for line in node.own.get("server_name", ()) for arg in line.args)
            known = self.names[id(node)] = node.pattern if node.kind == "location" else names
        return known

    def _in_force(self, node: Node) -> tuple[dict[str, Setting], tuple[Field, ...]]:
        """Return what is shown of a node: settings in force, headers lost; made once a node."""
        known = self.shown.get(id(node))
        if known is None:
            known = (settings_shown(node, self.http.upstreams), headers_lost(node, self.variables))
            self.shown[id(node)] = known
        return known


__all__ = ["Engine", "Listen", "Phase", "escape"]
