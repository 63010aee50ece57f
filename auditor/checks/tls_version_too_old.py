r"""An old TLS version is accepted.

## What it checks

Whether TLS versions below `tls.min_version` are accepted: by the configuration (`ssl_protocols`, Traefik's TLS options), and by a handshake.

## Why it matters

TLS 1.0 and 1.1 are withdrawn (RFC 8996).

## Fails

```yaml
policy: {tls: {min_version: "1.2"}}
```
```nginx
server { listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_protocols TLSv1 TLSv1.2; location / { return 200; } }
```

## Passes

```yaml
policy: {tls: {min_version: "1.2"}}
```
```nginx
server { listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_protocols TLSv1.2 TLSv1.3; location / { return 200; } }
```

## Remediation

`ssl_protocols TLSv1.2 TLSv1.3;`, or `minVersion: VersionTLS12` in Traefik's TLS options.

## References

- [RFC 8996](https://www.rfc-editor.org/rfc/rfc8996)
- [CWE-327](https://cwe.mitre.org/data/definitions/327.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("tls-version-too-old", "An old TLS version is accepted", Severity.MEDIUM, "0.1.0")
KINDS = {"tls.min_version": ("min_version",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every TLS entry that accepts an older version."""
    for entry in facts.tls or ():
        if entry.lowest is None:
            yield unknown(CHECK, rule, entry.detail, at=entry.location, subject=entry.name)
        elif version(entry.lowest) >= version(rule.value.min_version):
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"{entry.name} accepts TLS {entry.lowest}",
                at=entry.location,
                expected=f"TLS {rule.value.min_version} at least",
                observed=entry.detail,
                subject=entry.name,
            )


def version(text: str) -> tuple[int, ...]:
    """Read a TLS version such as `1.2`."""
    return tuple(int(part) for part in text.split("."))
