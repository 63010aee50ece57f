"""The pipeline on one screen: policy, plan, evaluation, live, checks, findings, run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.accepted import repository
from auditor.accepted.identity import placed
from auditor.accepted.waivers import uses, waive
from auditor.agreement import differences, with_agreement
from auditor.asking import Answered, Asking
from auditor.checks import CHECKS, Check
from auditor.checks.of_the_audit import OF_THE_AUDIT
from auditor.doors import Build, Promised, Said, graph
from auditor.errors import TargetError, UsageError
from auditor.exchange import Exchange, Unknown
from auditor.finding import CheckInfo, Finding, Run, Severity, TargetInfo, Verdict
from auditor.graph import Graph
from auditor.options import LiveOptions, Options
from auditor.overview import tables
from auditor.plan.facts import Facts, cases_by_route
from auditor.plan.joint import untold
from auditor.plan.probes import Planner, Sharing
from auditor.policy.load import LoadedPolicy, Rule, load_policy, load_profiles, rules, target_rules
from auditor.policy.model import HttpTarget
from auditor.targets import Assembler, Assembly
from auditor.verdicts import consolidate, leaving, unanswered, undescribed, unevaluated


def check(options: Options) -> Run:
    """Decide a policy from the configuration alone. Raises UsageError where no target is a configuration."""
    started = _now()
    loaded = load(options)
    assembly = read(loaded, options)
    chosen = [t for t in loaded.policy.targets if not options.targets or t.id in options.targets]
    if all(target.type == "http" for target in chosen):
        raise UsageError(
            "nothing to audit: no target is a configuration",
            hint="add one: {id: nginx, type: nginx, files: [nginx.conf]}; auditor live asks the running stack",
        )
    asking = Asking(assembly.stack)
    planner = Planner(
        loaded.policy, assembly.entries, assembly.matchers, (), assembly.selection, Sharing(), assembly.steering
    )
    answered = asking.all(planner.probes(asking)) if assembly.entries else []
    predicted = facts_of(loaded, assembly, answered, planner)
    verdicts = decide(loaded, predicted)
    rest = asking.all(planner.rest(_broken(verdicts))) if assembly.entries else []
    if rest:
        predicted = facts_of(loaded, assembly, [*answered, *rest], planner)
        verdicts = decide(loaded, predicted)
    return finish(loaded, options, assembly, conclude(loaded, verdicts, [predicted]), (predicted,), started=started)


def _broken(verdicts: Iterable[Finding]) -> Iterator[tuple[str, str, str]]:
    """Yield (route, host, path) of every place that breaks a rule: those that answer alike do it too."""
    for finding in verdicts:
        if finding.verdict is Verdict.FAIL and finding.witness is not None:
            request = finding.witness.request
            if request.method != "GET" or len(request.headers) > 1:  # every place is asked a bare GET
                yield finding.route, request.host, request.path


def load(options: Options) -> LoadedPolicy:
    """Load the policy that the options name, or the profiles over one nginx file."""
    ids = [info.id for info in catalogue()]
    if options.policy is None:
        if options.nginx is None:
            raise UsageError("no policy and no nginx file", hint="name a policy, or use --nginx FILE --profile NAME")
        return load_profiles(
            options.profiles,
            nginx=options.nginx,
            version=options.nginx_version,
            variables=options.variables,
            now=options.today,
            checks=ids,
        )
    return load_policy(
        options.policy,
        environment=options.environment,
        variables=options.variables,
        now=options.today,
        checks=ids,
        extend=options.profiles,
    )


def predict(loaded: LoadedPolicy, options: Options) -> tuple[Facts, Assembly]:
    """Read the targets and evaluate every probe on the stack they describe."""
    assembly = read(loaded, options)
    asking = Asking(assembly.stack)
    planner = Planner(
        loaded.policy, assembly.entries, assembly.matchers, (), assembly.selection, steering=assembly.steering
    )
    answered = asking.all(planner.probes(asking)) if assembly.entries else []
    return facts_of(loaded, assembly, answered, planner), assembly


def read(loaded: LoadedPolicy, options: Options) -> Assembly:
    """Read the targets that the options choose, all of them where they choose none."""
    known = {target.id for target in loaded.policy.targets}
    wrong = [name for name in options.targets if name not in known]
    if wrong:
        raise UsageError(f"the policy has no target {wrong[0]!r}", hint=f"it has {', '.join(sorted(known)) or 'none'}")
    return Assembler(loaded, frozenset(options.targets), options.nginx_version).assemble()


def facts_of(loaded: LoadedPolicy, assembly: Assembly, answered: Sequence[Answered], planner: Planner) -> Facts:
    """Put together what the configuration says."""
    exposure = loaded.policy.exposure
    layers = tuple(name for name, layer in assembly.stack.layers if layer.name != "backend")
    return Facts(
        "predicted",
        loaded,
        cases_by_route(answered),
        backends=tuple(exposure.backends) if exposure else (),
        layers=layers,
        doors=assembly.doors,
        networks=assembly.networks,
        client_variables=assembly.client_variables,
        problems=tuple(assembly.problems),
        missing=tuple(assembly.missing),
        undecided=tuple(_undecided(assembly, planner)),
        dashboards=assembly.dashboards,
        tls=assembly.tls,
        mounts=assembly.mounts,
        graph=reach(loaded, assembly, layers, (exchange for _, exchanges in answered for exchange in exchanges)),
    )


def _undecided(assembly: Assembly, planner: Planner) -> Iterator[tuple[str, Unknown]]:
    """Yield the patterns that requests could not be told apart by, each with the target it is of, or with each."""
    places = {m.location: target for target, matchers in assembly.seen.items() for m in matchers if m.location}
    for matcher in planner.undecided():
        for target in (places[matcher.location],) if matcher.location in places else assembly.seen:
            yield target, untold(matcher)


def reach(
    loaded: LoadedPolicy, assembly: Assembly, layers: tuple[str, ...], exchanges: Iterable[Exchange]
) -> Graph | None:
    """Draw who can reach what, and judge it by what the policy promises about doors."""
    exposure = loaded.policy.exposure
    ports = exposure.published_ports if exposure else None
    promised = Promised(
        tuple(exposure.backends) if exposure else (),
        layers if exposure and exposure.direct_routes == "forbid" else (),
        None if ports is None else frozenset(ports.allow),
        tuple(exposure.unreachable) if exposure else (),
    )
    builds = tuple(Build(v.name, v.host, v.port, v.location) for v in assembly.client_variables or ())
    return graph(Said(assembly.stack, assembly.running, assembly.composes, builds), promised, exchanges)


def live(options: Options, live_options: LiveOptions) -> Run:
    """Ask the running stack alone; the configuration only says which requests are worth sending."""
    return _on_stack(options, live_options, both=False)


def audit(options: Options, live_options: LiveOptions) -> Run:
    """Decide from the configuration, replay on the running stack, and report where the two disagree."""
    return _on_stack(options, live_options, both=True)


def _on_stack(options: Options, live_options: LiveOptions, *, both: bool) -> Run:
    from auditor.watching import observe  # noqa: PLC0415 - `auditor check` never loads an HTTP client

    started = _now()
    loaded = load(options)
    targets = [target for target in loaded.policy.targets if isinstance(target, HttpTarget)]
    if not targets:
        raise UsageError("the policy has no live target", hint="add one: {id: live, type: http, entrypoints: {...}}")
    if live_options.browser:
        from auditor.replaying import ready  # noqa: PLC0415 - only where a browser is asked for

        ready()
    predicted, assembly = predict(loaded, options)
    foretold = decide(loaded, predicted)
    suspects = [f for f in foretold if f.verdict is Verdict.FAIL]
    observed = observe(loaded, targets[0], predicted, suspects, live_options, ask=Asking(assembly.stack))
    assembly.targets.append(TargetInfo(targets[0].id, "http", entrypoints=tuple(targets[0].entrypoints.items())))
    witnesses = [predicted, observed.facts] if both else [observed.facts]
    said = [observed.facts.said or predicted, observed.facts] if both else witnesses
    findings = conclude(loaded, [*(foretold if both else ()), *decide(loaded, observed.facts)], said)
    if live_options.browser and not live_options.dry_run and not observed.interrupted:
        findings = _replayed(findings, targets[0], live_options)
    if live_options.replay is not None:  # what the other rules would have needed was not asked
        findings = tuple(f for f in findings if f.check != "rule-not-evaluated")
    return finish(
        loaded,
        options,
        assembly,
        with_agreement(findings, observed.facts, targets[0]) if both else findings,
        witnesses,
        started=started,
        sent=observed.sent,
        interrupted=observed.interrupted,
    )


def _replayed(findings: tuple[Finding, ...], target: HttpTarget, options: LiveOptions) -> tuple[Finding, ...]:
    """Add what a real browser does with each witness; where the browser fails, say so and keep what was found."""
    from auditor.replaying import in_browser  # noqa: PLC0415 - only where a browser is asked for

    try:
        return in_browser(findings, target, verify_tls=not options.insecure and options.ca_file is None)
    except TargetError as error:
        options.note(f"nothing was replayed in a browser: {error.message}")
        return findings


def judge(loaded: LoadedPolicy, witnesses: Sequence[Facts]) -> tuple[Finding, ...]:
    """Run every check on every rule of its kind, on each kind of witness, and make one list of findings of it all."""
    return conclude(loaded, [verdict for facts in witnesses for verdict in decide(loaded, facts)], witnesses)


def decide(loaded: LoadedPolicy, facts: Facts) -> list[Finding]:
    """Run every check on every rule of its kind, on one kind of witness."""
    checks = [item for item in CHECKS if enabled(loaded, item)]
    every = (*rules(loaded), *target_rules(loaded))
    return [f for rule in every for item in checks if rule.kind in item.KINDS for f in run_check(item, rule, facts)]


def conclude(loaded: LoadedPolicy, verdicts: Sequence[Finding], witnesses: Sequence[Facts]) -> tuple[Finding, ...]:
    """Make one list of findings of what the checks said of each kind of witness."""
    raw = [*verdicts, *unevaluated((*rules(loaded), *target_rules(loaded)), verdicts, CHECKS)]
    predicted = next((facts for facts in witnesses if facts.kind == "predicted"), None)
    observed = next((facts for facts in witnesses if facts.kind == "observed"), None)
    if predicted is not None and observed is not None:
        raw += differences(predicted, observed)
    if observed is not None:
        raw += unanswered(observed)
        raw += leaving(observed, next(t for t in loaded.policy.targets if isinstance(t, HttpTarget)))
    named = frozenset(probe.path.partition("?")[0] for route in loaded.policy.routes for probe in route.probes)
    if observed is None:
        return consolidate(raw, named=named)
    replays = {c.probe.request.wire: c.exchange for cases in observed.cases.values() for c in cases}
    places: dict[object, set[tuple[str, str]]] = {}
    for case in (c for cases in (predicted.cases if predicted else {}).values() for c in cases):
        outcome = case.exchange.outcome
        places.setdefault(case.probe.request.wire, set()).add((outcome.server or "", outcome.location or ""))
    return consolidate(raw, replays, {key: frozenset(value) for key, value in places.items()}, named)


def enabled(loaded: LoadedPolicy, item: Check) -> bool:
    """Whether the policy leaves a check switched on."""
    setting = loaded.policy.checks.get(item.CHECK.id)
    return setting is None or setting.enabled


def run_check(item: Check, rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Run one check on one rule; one that raises becomes verdict `error`, and the others go on."""
    setting = facts.policy.policy.checks.get(item.CHECK.id)
    severity = setting.severity if setting is not None and setting.severity is not None else None
    looked_at = 0
    good = True
    try:
        for finding in item.decide(rule, facts):
            looked_at += 1
            if finding is not None:
                good = False
                if severity is not None or (facts.kind == "observed" and not finding.exchanges):
                    chosen = finding.severity if severity is None else severity
                    yield replace(finding, evidence=facts.kind, severity=chosen)
                else:
                    yield finding
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide what the others found
        yield _verdict(item, rule, facts, Verdict.ERROR, f"the check raised {type(error).__name__}: {error}")
        return
    if looked_at and good:
        yield _verdict(item, rule, facts, Verdict.PASS, f"{looked_at} evaluated")


def _verdict(item: Check, rule: Rule, facts: Facts, verdict: Verdict, message: str) -> Finding:
    return Finding(
        check=item.CHECK.id,
        rule=rule.id,
        verdict=verdict,
        severity=item.CHECK.severity if verdict is Verdict.ERROR else Severity.INFO,
        message=message,
        route=rule.route or "",
        rule_location=rule.location,
        evidence=facts.kind,
    )


def finish(
    loaded: LoadedPolicy,
    options: Options,
    assembly: Assembly,
    findings: tuple[Finding, ...],
    witnesses: Sequence[Facts],
    *,
    started: str,
    sent: int = 0,
    interrupted: bool = False,
) -> Run:
    """Apply waivers, the baseline and what was there before, and make the run that reports are rendered from."""
    predicted = [facts for facts in witnesses if facts.kind == "predicted"]
    cases = [case for facts in predicted for found in facts.cases.values() for case in found]
    probes = {id(case.probe): case.probe for case in cases}  # each has a case for every outcome
    targets = tuple(sorted(assembly.targets, key=lambda target: target.id))
    folder = Path(loaded.file).parent
    files = [file for target in targets for file, _ in target.files]
    known = tuple(catalogue())
    named = placed(findings, targets, folder)
    settled = waive(loaded, named, options.today, targets, {info.id for info in known})
    if options.baseline is not None:
        from auditor.accepted import baseline  # noqa: PLC0415 - only where there is one

        asked = any(facts.kind == "observed" for facts in witnesses)
        settled = baseline.apply(baseline.read(options.baseline), settled, whole=not options.targets, observed=asked)
    if options.new_since is not None:
        settled = _only_new(loaded, options, settled, [Path(file) for file in files])
    return Run(
        command=options.command,
        findings=(*settled, *undescribed(settled)),
        checks=known,
        policy_name=loaded.policy.name,
        policy_file=loaded.file,
        policy_sha256=loaded.sha256,
        environment=loaded.environment,
        extends=loaded.extends,
        targets=targets,
        routes=tuple(route.id for route in loaded.policy.routes),
        cells=len({probe.key for probe in probes.values()}),
        requests_evaluated=len(cases),
        requests_sent=sent,
        started=started,
        finished=_now(),
        git=repository.state(folder, [loaded.file, *files]),
        interrupted=interrupted,
        fail_on=Severity[options.fail_on.upper()] if options.fail_on else loaded.policy.settings.fail_on,
        unknown_fails=loaded.policy.settings.unknown == "fail",
        today=options.today.isoformat(),
        graph=next((facts.graph for facts in predicted), None),
        vantage=os.uname().nodename if sent else "",
        tables=tables(loaded, witnesses, findings),
        waivers=uses(loaded, settled, options.today, targets, {info.id for info in known}),
    )


def _only_new(
    loaded: LoadedPolicy, options: Options, findings: tuple[Finding, ...], files: Sequence[Path]
) -> tuple[Finding, ...]:
    """Hold the same policy against the files of a revision, and mark what is found there too."""
    revision = str(options.new_since)
    extended = [Path(name) for name, _ in loaded.extends if Path(name).is_file()]
    policies = [options.policy, *extended] if options.policy is not None else []
    with repository.checkout(revision, policies, files) as (root, tree, commit):

        def there(path: Path | None) -> Path | None:
            return None if path is None else tree / path.resolve().relative_to(root)

        before = replace(
            options, policy=there(options.policy), nginx=there(options.nginx), baseline=None, new_since=None
        )
        then = check(before).findings
    return repository.already_there(findings, then, f"{revision} ({commit[:12]})")


def catalogue() -> Iterable[CheckInfo]:
    """Yield every check, with its page, those of the audit itself last."""
    for item in CHECKS:
        yield replace(item.CHECK, help=(item.__doc__ or "").strip())
    yield from OF_THE_AUDIT


def exit_status(run: Run) -> tuple[int, str]:
    """Return the exit status of a run and the sentence that says why (contract, section 2)."""
    fail_on = run.fail_on
    failing = [
        f for f in run.findings if f.verdict is Verdict.FAIL and f.disposition == "open" and f.severity >= fail_on
    ]
    waived = sum(1 for f in run.findings if f.disposition == "waived")
    baselined = sum(1 for f in run.findings if f.disposition == "baselined")
    undecided = sum(
        1 for f in run.findings if f.verdict in {Verdict.UNKNOWN, Verdict.ERROR} and f.disposition == "open"
    )
    counts = {s: sum(1 for f in failing if f.severity is s) for s in sorted(Severity, reverse=True)}
    words = ", ".join(f"{number} {severity.word}" for severity, number in counts.items() if number)
    reason = f"{len(failing)} open findings at or above {fail_on.word}"
    reason += (f" ({words})" if words else "") + f"; {waived} waived; "
    reason += (f"{baselined} baselined; " if baselined else "") + f"{undecided} unknown"
    if run.interrupted:
        return 130, f"interrupted: {reason}"
    if failing:
        return 1, reason
    if undecided and run.unknown_fails:
        return 3, reason
    return 0, reason


def _now() -> str:
    """Return the time, or the one that builds which must be the same every time are told (SOURCE_DATE_EPOCH)."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(told), UTC) if told.isdigit() else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
