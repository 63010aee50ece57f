"""What the audit says about itself: findings that no check file makes, with their pages."""

from __future__ import annotations

from auditor.finding import CheckInfo, Severity

RULE_NOT_EVALUATED = CheckInfo(
    "rule-not-evaluated",
    "A clause of the policy was not evaluated",
    Severity.MEDIUM,
    "0.1.0",
    """A clause of the policy was not evaluated.

## What it checks

Whether every clause of the policy, and every key inside it, was looked at by some check on at least one request, file or door.

## Why it matters

A promise that nobody looked at must not look like one that holds: it is `unknown`, and fails the gate unless
`settings: {unknown: warn}` says otherwise.

## Remediation

Give the policy a target that the clause can be decided on (a Compose file for ports and networks, a live target for what
only the running stack shows), correct the route's `match`, or remove the clause.
""",
)

WAIVER_UNUSED = CheckInfo(
    "waiver-unused",
    "A waiver matches no finding",
    Severity.INFO,
    "0.1.0",
    """A waiver matches no finding.

## What it checks

Whether each waiver, in the policy or in a comment, still accepts at least one finding.

## Why it matters

A waiver that outlived its finding accepts the next one of its kind unseen.

## Remediation

Remove it. `settings: {unused_waivers: fail}` makes this fail the gate, `ignore` silences it.
""",
)

LIVE_DIFFERS = CheckInfo(
    "live-differs-from-configuration",
    "The running stack answers otherwise than its configuration says",
    Severity.MEDIUM,
    "0.1.0",
    """The running stack answers otherwise than its configuration says.

## What it checks

Whether each answer of the running stack is one of those that the configuration allows for the same request: its status, and
its `Access-Control-Allow-Origin`, and the host that a redirect leads to. Requests that servers refuse by themselves (too large, malformed, an unknown method) are
not compared: which layer is the first to mind is no difference.

## Why it matters

What was reviewed is not what runs: another layer in front (a CDN, a load balancer), another version, a file that was changed
by hand, or a configuration that was never reloaded.

## Remediation

Compare the two answers in the finding; reload the configuration, or describe the missing layer as a target.
""",
)

TARGET_UNREACHABLE = CheckInfo(
    "target-unreachable",
    "The running stack did not answer",
    Severity.HIGH,
    "0.1.0",
    """The running stack did not answer.

## What it checks

Whether every request of a live audit got an answer: no connection refused or reset, no time-out, no broken TLS handshake, no
answer that is no HTTP. A request that the configuration itself closes without an answer (`return 444`) is not counted.

## Why it matters

What was not answered was not judged: the audit is incomplete, and says so, rather than passing.

## Remediation

Check the target's `entrypoints`, `resolve` and `limits.timeout`, and that the stack is up; `--ca-file` trusts a private
certificate authority.
""",
)

WAIVER_FORBIDDEN = CheckInfo(
    "waiver-forbidden",
    "A comment waives where the policy forbids it",
    Severity.MEDIUM,
    "0.1.0",
    """A comment waives where the policy forbids it.

## What it checks

Whether a file of an nginx, Traefik or Compose target has a comment `# auditor: waive[…]` although the policy says
`settings: {inline_waivers: forbid}`.

## Why it matters

Whoever edits a configuration could accept its findings; this policy leaves that to those who sign the policy.

## Remediation

Remove the comment, and ask the policy's owner for a waiver in the policy.
""",
)

BASELINE_STALE = CheckInfo(
    "baseline-stale",
    "The baseline accepts a finding that is gone",
    Severity.INFO,
    "0.1.0",
    """The baseline accepts a finding that is gone.

## What it checks

Whether each entry of the file given with `--baseline` is still found. Entries that only a live audit found are left alone
by `auditor check`, and none is reported where `--target` leaves targets out.

## Why it matters

An entry that outlived its finding accepts the same violation when it comes back.

## Remediation

`auditor baseline write` again, and commit the smaller file.
""",
)

AUDIT_FAILED = CheckInfo(
    "audit-failed",
    "The audit of a target could not be made",
    Severity.HIGH,
    "0.1.0",
    """The audit of a target could not be made.

## What it checks

Whether each target of a fleet, and each scheduled audit, ended with verdicts at all.

## Why it matters

One target with a broken policy must neither stop the audits of the others nor be taken for one that passes.

## Remediation

The message says why: a policy that is wrong, a certificate authority that cannot be read, a process that was killed. Run the
same audit alone to see every problem: `auditor audit POLICY`.
""",
)

BACKEND_UNDECLARED = CheckInfo(
    "backend-undeclared",
    "No target describes a backend that requests reach",
    Severity.INFO,
    "0.1.0",
    """No target describes a backend that requests reach.

## What it checks

Whether verdicts are open because of an upstream address that no target describes: it is taken for any backend, which may
answer anything and add any header. The finding names the checks that this leaves open.

## Why it matters

nginx and Traefik add their headers to the application's. Whether the application sends CORS headers of its own decides
whether browsers see two of them, and nothing in the proxy's files says so.

## Remediation

Name the application as a target: `{id: backend, type: asgi, files: [app/main.py]}` is read and never run,
`files: ["app.main:app"]` is imported and asked. For any other application, remove its headers in the proxy
(`proxy_hide_header`) or audit the running stack.
""",
)

REDIRECT_OFF_TARGET = CheckInfo(
    "redirect-off-target",
    "The running stack sends requests to a host that is not the target's",
    Severity.INFO,
    "0.1.0",
    """The running stack sends requests to a host that is not the target's.

## What it checks

Whether an answer to a live audit is a redirect to a host that neither the target nor a route of the policy names, and that
was not the one asked. It is not followed: what is there was not audited.

## Why it matters

A sign-in page of somebody else is where such a redirect usually leads, and what happens there is not this policy's matter. A
stale box, a parked domain or a redirect that an attacker can steer looks the same.

## Remediation

Where the host is yours, add a route with its name and what is promised of it. Where it is not meant,
correct the redirect.
""",
)

OF_THE_AUDIT = (
    AUDIT_FAILED,
    BACKEND_UNDECLARED,
    BASELINE_STALE,
    LIVE_DIFFERS,
    REDIRECT_OFF_TARGET,
    RULE_NOT_EVALUATED,
    TARGET_UNREACHABLE,
    WAIVER_FORBIDDEN,
    WAIVER_UNUSED,
)
