"""Addresses that must not answer, and TLS versions that must not be accepted, tried from where the audit runs."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from auditor.live.client import Scope
from auditor.plan.facts import Reach, TlsEntry

VERSIONS = (
    ("1.0", ssl.TLSVersion.TLSv1),
    ("1.1", ssl.TLSVersion.TLSv1_1),
    ("1.2", ssl.TLSVersion.TLSv1_2),
    ("1.3", ssl.TLSVersion.TLSv1_3),
)


def reach(scope: Scope, address: str, timeout: float) -> Reach:
    """Try to open a TCP connection to an address within `timeout` seconds; nothing is sent."""
    host, port = scope.dial(address)
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return Reach(address, reachable=True, detail=f"a TCP connection to {host}:{port} was accepted")
    except OSError as error:
        return Reach(address, reachable=False, detail=str(error))


def tls_versions(scope: Scope, timeout: float) -> Iterator[TlsEntry]:
    """Yield, for each https entrypoint, the lowest TLS version that its handshake accepts."""
    for name, url in scope.target.entrypoints.items():
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            continue
        port = parts.port or 443
        dial = scope.dial(f"{parts.hostname}:{port}")
        accepted = [text for text, version in VERSIONS if _handshake(dial, parts.hostname, version, timeout)]
        detail = f"accepted: {', '.join(accepted)}" if accepted else "no handshake succeeded"
        yield TlsEntry(f"{name} ({url})", accepted[0] if accepted else None, detail)


def _handshake(dial: tuple[str, int], host: str, version: ssl.TLSVersion, timeout: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with contextlib.suppress(ssl.SSLError):
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = version
        context.maximum_version = version
        with (
            socket.create_connection(dial, timeout=timeout) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except (OSError, ValueError):
        return False
