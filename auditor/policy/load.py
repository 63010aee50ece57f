"""A policy file becomes a policy: read, extended, put into an environment, filled with variables, judged.

Everything that is wrong is said in one go, each with its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from auditor.dataclass import dataclass
from auditor.errors import Location, PolicyError, Problem, UsageError
from auditor.policy import validate
from auditor.policy.document import Node, find, join
from auditor.policy.loaded import LoadedPolicy, Rule
from auditor.policy.merge import dangling, in_environment, null_problem, with_defaults, without_nulls
from auditor.policy.model import Environment, Policy
from auditor.policy.problems import did_you_mean, explain
from auditor.policy.profiles import PREFIX, Profile, profiles, source
from auditor.policy.rules import rules, target_rules
from auditor.policy.sources import Sources
from auditor.policy.variables import Variables, defined

__all__ = [
    "LoadedPolicy",
    "Profile",
    "Rule",
    "load_policy",
    "load_profiles",
    "load_text",
    "profiles",
    "rules",
    "source",
    "target_rules",
]


MAX_PROBLEMS = 200
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class _Context:
    """What a policy is judged with."""

    variables: Mapping[str, str]
    now: date
    checks: Collection[str] | None


@dataclass(frozen=True, slots=True)
class _Built:
    """A policy in one environment: the effective tree, the model where there is one, what is wrong."""

    tree: Node
    policy: Policy | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    variables: Variables


def load_policy(
    path: Path,
    *,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    now: date,
    checks: Collection[str] | None = None,
    extend: Sequence[str] = (),
) -> LoadedPolicy:
    """Return the policy of a file as it holds in an environment on a day (UTC).

    `checks`: the ids of all checks, for waivers and `checks:`; None: any id will do.
    `extend`: built-in profiles laid under everything else. Raises PolicyError with every problem found.
    """
    sources = Sources()
    root = sources.load(path, str(path), extend)
    return _finish(sources, root, str(path), environment, _Context(variables or {}, now, checks))


def load_text(text: str, file: str, *, now: date, checks: Collection[str] | None = None) -> LoadedPolicy:
    """Return the policy of a text as if it stood in this file, which need not be there.

    Raises PolicyError with every problem found.
    """
    sources = Sources()
    return _finish(sources, sources.load_text(text, file), file, None, _Context({}, now, checks))


def load_profiles(
    names: Sequence[str],
    *,
    nginx: Path,
    version: str | None = None,
    variables: Mapping[str, str] | None = None,
    now: date,
    checks: Collection[str] | None = None,
) -> LoadedPolicy:
    """Return the policy "this nginx file keeps these built-in profiles", for which no policy file is needed.

    `variables` fill the file where it is a template. Raises PolicyError where a profile does not exist.
    """
    import json  # noqa: PLC0415 - only this way in needs it

    target = {"id": "nginx", "type": "nginx", "files": [str(nginx)], "prefix": str(nginx.parent)}
    filled = {name: value.replace("${", "$${") for name, value in (variables or {}).items()}
    document = {
        "version": 1,
        "name": "+".join(names),
        "extends": [f"{PREFIX}{name}" for name in names],
        "targets": [target | {"variables": filled} | ({"version": version} if version else {})],
        "layers": ["nginx"],
    }
    sources = Sources()
    name = "--profile"
    root = sources.load_text(json.dumps(document), name)
    return _finish(sources, root, name, None, _Context({}, now, checks))


def _finish(sources: Sources, root: Node | None, file: str, environment: str | None, context: _Context) -> LoadedPolicy:
    if root is None:
        raise PolicyError.of(_in_order(sources.problems, sources))
    listed = root.get("environments")
    environments = listed.entries if listed is not None else {}
    if environment is not None and environment not in environments:
        hint = did_you_mean(environment, environments) or f"known: {', '.join(environments) or 'none'}"
        raise UsageError(f"no environment {environment!r} in {file}", _place(listed) if listed else None, hint)
    base = _named(root, file)
    problems = [*sources.problems, *_environment_keys(environments)]
    if listed is not None and listed.value is not None and not isinstance(listed.value, dict):
        problems.append(Problem("environments is not a mapping", listed.place, "such as {dev: {variables: {…}}}"))
    built = _build(base, environments.get(environment or ""), environments, context)
    problems += built.problems if sources.problems else [*built.problems, *validate.empty(built.tree)]
    problems += _unknown_variables(context.variables, built, environments, base)
    for name, node in environments.items():
        if name != environment and isinstance(node.value, dict):
            problems += _other(_build(base, node, environments, context))
    if problems or built.policy is None:
        raise PolicyError.of(_in_order(problems, sources))
    tree = built.tree
    return LoadedPolicy(
        policy=built.policy,
        file=file,
        sha256=sources.sha256,
        extends=tuple(sources.extends.items()),
        environment=environment or "",
        locate=lambda path: _place(find(tree, path)),
        warnings=tuple(dict.fromkeys(built.warnings)),
        environments=tuple(environments),
        tree=tree,
    )


def _place(node: Node) -> Location:
    return node.key or node.place


def _named(root: Node, file: str) -> Node:
    if root.get("name") is not None:
        return root
    stem = Path(file).stem
    return Node({**root.entries, "name": Node(stem, root.place, root.place, stem)}, root.place)


def _build(base: Node, chosen: Node | None, environments: Mapping[str, Node], context: _Context) -> _Built:
    entries = {key: node for key, node in base.entries.items() if key != "environments"}
    policy = Node(entries, base.place)
    if chosen is not None and isinstance(chosen.value, dict):
        known = {key: node for key, node in chosen.entries.items() if key in Environment.model_fields}
        policy = in_environment(policy, replace(chosen, value=known))
    elsewhere: dict[str, tuple[str, ...]] = {}
    for name, node in environments.items():
        for variable in (node.get("variables") or Node({}, node.place)).entries:
            elsewhere[variable] = (*elsewhere.get(variable, ()), name)
    variables = Variables(defined(policy.get("variables"), context.variables), elsewhere)
    filled = variables.expand(policy)
    problems = [*variables.problems, *variables.undefined]
    warnings = [null_problem(path, node, list_item=False) for path, node in dangling(filled) if "[" not in path]
    if policy.get("extends") is None and chosen is None:
        problems, warnings = [*problems, *warnings], []
    expanded = with_defaults(without_nulls(filled, lists=False))
    problems += [null_problem(path, node, list_item=True) for path, node in dangling(expanded)]
    unexpanded = {problem.location for problem in (*variables.problems, *variables.undefined)}
    tree = without_nulls(expanded)
    shape: list[Problem] = []
    model: Policy | None = None
    try:
        model = Policy.model_validate(tree.plain())
    except ValidationError as error:
        shape += explain(error, tree, Policy)
    shape += validate.problems(tree, now=context.now, checks=context.checks, declared=base)
    problems += [problem for problem in shape if problem.location not in unexpanded]
    return _Built(tree, model, tuple(problems), tuple(warnings), variables)


def _environment_keys(environments: Mapping[str, Node]) -> Iterator[Problem]:
    for name, node in environments.items():
        path = join("environments", name)
        if not isinstance(node.value, dict):
            yield Problem(f"the environment {name!r} is not a mapping", node.place, "such as {variables: {…}}", path)
        for key, child in node.entries.items():
            if key not in Environment.model_fields:
                hint = (
                    did_you_mean(key, Environment.model_fields)
                    or "an environment changes what a policy says, not its name"
                )
                yield Problem(f"unknown key {key!r}", child.key or child.place, hint, join(path, key))


def _other(built: _Built) -> tuple[Problem, ...]:
    """Return what is wrong in an environment that was not chosen; its variables may come with --var when it is."""
    return tuple(problem for problem in built.problems if problem not in built.variables.undefined)


def _unknown_variables(
    given: Mapping[str, str], built: _Built, environments: Mapping[str, Node], base: Node
) -> Iterator[Problem]:
    declared = set((base.get("variables") or Node({}, base.place)).entries)
    for node in environments.values():
        declared |= set((node.get("variables") or Node({}, base.place)).entries)
    for name in given:
        if name not in declared and name not in built.variables.used:
            hint = did_you_mean(name, declared | built.variables.used) or "the policy uses no such variable"
            yield Problem(f"--var {name}: no variable {name!r}", None, hint)


def _in_order(problems: Sequence[Problem], sources: Sources) -> tuple[Problem, ...]:
    """Return the problems once each, by place, with the path that leads to them in the file they are in."""
    paths: dict[Location, str] = {}
    for document in sources.documents:
        _paths(document, "", paths)
    seen: dict[tuple[str, Location | None], Problem] = {}
    for problem in problems:
        path = paths.get(problem.location, problem.path) if problem.location else problem.path
        said = replace(problem, message=_short(problem.message), hint=_short(problem.hint), path=path)
        seen.setdefault((said.message, said.location), said)
    files = {document.place.file: index for index, document in enumerate(sources.documents)}
    ordered = sorted(seen.values(), key=lambda item: _order(item, files))
    if len(ordered) > MAX_PROBLEMS:
        more = Problem(f"and {len(ordered) - MAX_PROBLEMS} more", None, "correct these first")
        ordered = [*ordered[:MAX_PROBLEMS], more]
    return tuple(ordered)


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE // 2]} … {text[-MAX_MESSAGE // 2 :]}"


def _order(problem: Problem, files: Mapping[str, int]) -> tuple[int, str, int, int]:
    place = problem.location or Location("")
    return (files.get(place.file, len(files)), place.file, place.line, place.column)


def _paths(node: Node, path: str, paths: dict[Location, str]) -> None:
    """Note the path of every place; places shared through aliases keep the first."""
    for place in (node.key, node.place):
        if place is not None:
            paths.setdefault(place, path)
    for key, child in node.entries.items():
        _paths(child, join(path, key), paths)
    for index, child in enumerate(node.items):
        _paths(child, join(path, index), paths)
