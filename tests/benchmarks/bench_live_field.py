"""The field of planted flaws, by this auditor and by its peers side by side: what each finds, and in how many requests.

    python tests/benchmarks/bench_live_field.py [--peers PYTHON]

PYTHON is the interpreter of a virtual environment of its own with the peers in it:

    python -m venv peers && peers/bin/pip install corscanner==0.9.7 corsair-scan==0.2.0 setuptools
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tabulate import tabulate

from auditor.audit import audit, live
from auditor.finding import Verdict
from auditor.options import LiveOptions, Options
from tests.live_field.flaws import TRUSTED, sides
from tests.live_field.running import Field, by_url, running_field

RESOLVE = """
import json, socket, sys
real = socket.getaddrinfo
def here(host, port, *rest, **more):
    if not host.endswith((".example", "partner.net")):
        raise socket.gaierror("no network")
    return real("127.0.0.1", port, *rest, **more)
socket.getaddrinfo = here
urls, trusted = json.load(sys.stdin)
"""
"""The names of the field lead to loopback, and no other name anywhere."""

PEERS = {
    "corscanner 0.9.7": RESOLVE
    + """
import importlib.util, os
sys.path.insert(0, os.path.dirname(importlib.util.find_spec("CORScanner").origin))
from CORScanner.cors_scan import cors_check
socket.getaddrinfo = here
print(json.dumps([url for url in urls if cors_check(url)]))
""",
    "corsair-scan 0.2.0": RESOLVE
    + """
from corsair_scan import corsair_scan
found = []
for url in urls:
    report = corsair_scan.corsair_scan([{"url": url, "verb": "get", "params": "", "headers": {"Origin": trusted}}], verify=False)
    if report["summary"]["misconfigured"]:
        found.append(url)
print(json.dumps(found))
""",
}
"""What each peer makes of a list of URLs: those that it calls misconfigured, for whatever reason."""


def ours(field: Field, *, known: bool = False) -> set[str]:
    """Return the URLs about which the audit has an open finding that the planted flaw explains; `known`: it is given the configuration.

    With that, only what the running stack showed counts.
    """
    options = LiveOptions(ca_file=field.authority, measure_limits=False)
    if known:
        run = audit(Options("audit", field.with_configuration()), options)
    else:
        run = live(Options("live", field.policy), options)
    failing: dict[str, set[str]] = {}
    for finding in run.findings:
        if finding.verdict is not Verdict.PASS and finding.evidence in {"observed", "both"}:
            failing.setdefault(finding.route, set()).add(finding.check)
    found = {name for name, flaw, _, flawed in sides() if flawed and failing.get(name, set()) & flaw.checks}
    return found | {name for name, _, _, flawed in sides() if not flawed and name in failing}


def peer(python: str, script: str, field: Field) -> set[str]:
    """Return the URLs that a peer calls misconfigured."""
    urls = [f"https://{field.host}:{field.secure}/{name}" for name, *_ in sides()]
    said = json.dumps([urls, TRUSTED])
    done = subprocess.run([python, "-c", script], input=said, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return {url.rpartition("/")[2] for url in json.loads(done.stdout.splitlines()[-1])}


def row(name: str, found: set[str], field: Field) -> list[object]:
    """Return a line of the table, from what the server logged."""
    asked = field.asked()
    counts = by_url(asked)
    flawed = [side for side, _, _, bad in sides() if bad]
    clean = [side for side, _, _, bad in sides() if not bad]
    most = sorted(counts[side] for side in clean)
    return [
        name,
        f"{len(found & set(flawed))} of {len(flawed)}",
        len(found & set(clean)),
        counts.total(),
        f"{sum(counts[side] for side, *_ in sides()) / len(sides()):.1f}",
        f"{asked.total() / len(asked):.1f}",
        most[len(most) // 2],
    ]


def main() -> None:
    """Print a table for each choice of the trusted origin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter that has the peers")
    python = parser.parse_args().peers
    columns = ["", "found", "false alarms", "requests", "per URL and below", "per path", "on a clean URL"]
    for title, host in (("the target's own host", "app.partner.net"), ("a partner's host", "api.shop.example")):
        with tempfile.TemporaryDirectory() as folder, running_field(Path(folder), host) as field:
            rows = [
                row("auditor live, policy alone", ours(field), field),
                row("auditor audit, with the configuration", ours(field, known=True), field),
            ]
            for name, script in PEERS.items() if python else ():
                rows.append(row(name, peer(python, script, field), field))
        sys.stdout.write(f"\nThe trusted origin is {title}:\n{tabulate(rows, columns)}\n")


if __name__ == "__main__":
    main()
