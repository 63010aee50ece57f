"""The field running: nginx with every flaw and every twin, over TLS with HTTP/2 and in the clear."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live_field.field_nginx import configuration
from tests.live_field.flaws import policy
from tests.live_field.real_nginx import free_ports, running_nginx


@dataclass(frozen=True)
class Field:
    """The running field: where it listens, the authority that signed its certificate, and its policy's file."""

    host: str
    secure: int
    clear: int
    authority: Path
    policy: Path
    log: Path


@contextlib.contextmanager
def running_field(folder: Path, host: str, **target: Any) -> Iterator[Field]:
    """Run the field as `host` while the block lasts; every request is a line of `log`."""
    import trustme

    secure, clear = free_ports(2)
    authority = trustme.CA()
    certificate = authority.issue_cert(host)
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    said = policy(host, {"websecure": f"https://{host}"}, {f"{host}:443": f"127.0.0.1:{secure}"}, **target)
    (folder / "field.yaml").write_text(json.dumps(said))
    log = folder / "requests.log"
    text = configuration(host, f"127.0.0.1:{secure} ssl http2", f"127.0.0.1:{clear}")
    http = (
        f"log_format one '$request_method $uri $server_protocol $status $http_origin'; access_log {log} one;\n"
        f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;\n{text}"
    )
    with running_nginx(http.replace("access_log off;", ""), folder, secure, clear):
        yield Field(host, secure, clear, folder / "authority.pem", folder / "field.yaml", log)
