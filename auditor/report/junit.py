"""JUnit's XML: a suite per route, a test case per check and rule, or per finding where there are any."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from auditor.finding import Verdict
from auditor.report.model import Report, Result
from auditor.report.view import ACCEPTED, EVIDENCE, View, places, repository_paths, rule_text, span_text, summary_line

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (§2.2)."""

ELSEWHERE = "(the stack)"
"""The suite of rules that belong to no route."""


def render(report: Report, view: View) -> str:
    """Return the report as JUnit's XML."""
    del view
    suites: dict[str, list[Result]] = {}
    for result in report.results:
        suites.setdefault(result.route or ELSEWHERE, []).append(result)
    name = report.run.policy.name or "auditor"
    root = ET.Element("testsuites", {"name": _text(name), **_counted(report.results)})
    path_of = repository_paths()
    for route, results in sorted(suites.items()):
        root.append(_suite(report, route, results, path_of))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counted(results: list[Result]) -> dict[str, str]:
    states = [_state(result) for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(states.count("failure")),
        "errors": str(states.count("error")),
        "skipped": str(states.count("skipped")),
        "time": "0",
    }


def _state(result: Result) -> str:
    """Return the element that says how a test case went: none where it passed."""
    if result.verdict is Verdict.PASS:
        return ""
    if result.disposition in ACCEPTED:
        return "skipped"
    return "failure" if result.verdict is Verdict.FAIL else "error"


def _suite(report: Report, route: str, results: list[Result], path_of: Callable[[str], str]) -> ET.Element:
    run = report.run
    suite = ET.Element("testsuite", {"name": _text(route), **_counted(results)})
    if run.started:
        suite.set("timestamp", run.started.removesuffix("+00:00"))
    properties = ET.SubElement(suite, "properties")
    told = {
        "tool": f"{run.tool.name} {run.tool.version}",
        "policy": run.policy.file,
        "policy.sha256": run.policy.sha256,
        "environment": run.policy.environment,
        "evaluated": summary_line(report),
    }
    for name, value in told.items():
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for result in sorted(results, key=lambda r: (r.check, r.rule, r.fingerprint)):
        suite.append(_case(report, route, result, path_of))
    return suite


def _case(report: Report, route: str, result: Result, path_of: Callable[[str], str]) -> ET.Element:
    state = _state(result)
    name = f"{result.check}: {result.rule}" + (f" [{result.fingerprint[:8]}]" if state else "")
    case = ET.Element(
        "testcase", {"classname": _text(f"{report.run.policy.name or 'auditor'}.{route}"), "name": _text(name)}
    )
    case.set("time", "0")
    span = places(report, result)[0]
    case.set("file", _text(path_of(span.file)))
    if span.line:
        case.set("line", str(span.line))
    if state == "skipped":
        ET.SubElement(case, "skipped", {"message": _text(f"{result.disposition}: {result.waiver}")})
    elif state:
        told = ET.SubElement(case, state, {"message": _text(result.message), "type": result.check})
        told.text = _text("\n".join(_lines(result)))
    return case


def _lines(result: Result) -> list[str]:
    lines = [f"{result.severity}[{result.check}]: {result.message}"]
    lines += [f"at: {span_text(span)} {span.note}".rstrip() for span in result.locations]
    told = {
        "expected": result.expected,
        "found": result.observed,
        "rule": f"{result.rule} ({rule_text(result)})" if result.rule_location else "",
        f"witness ({EVIDENCE[result.evidence]})": result.witness.curl if result.witness else "",
        "live": result.agreement,
        "browser": result.in_browser,
        "why": result.remediation,
        "help": f"auditor explain {result.check}",
    }
    return [*lines, *(f"{name}: {value}" for name, value in told.items() if value)]


def _text(value: str) -> str:
    """Leave out what XML cannot carry."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
