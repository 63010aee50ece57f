"""The field running: nginx with every flaw and every twin, over TLS with HTTP/2 and in the clear."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
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

    def asked(self) -> Counter[str]:
        """Count the requests since the last time by path, as the server logged them, and begin the log anew.

        What the server refused before it knew a path counts for the path that was asked for.
        """
        lines = self.log.read_text().splitlines()
        with self.log.open("r+") as log:
            log.truncate()
        fields = [line.split("|", 4) for line in lines]
        return Counter(path if path != "-" else request.split(" ")[1] for _, path, _, _, request in fields)

    def with_configuration(self, *only: str) -> Path:
        """Write the policy of these URLs with their part of the configuration among its targets, and return it."""
        listens = (f"127.0.0.1:{self.secure} ssl http2", f"127.0.0.1:{self.clear}")
        folder = self.policy.parent
        text = configuration(self.host, *listens, only=only)
        name = only[0] if only else "all"
        certificate = f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;"
        (folder / f"{name}.conf").write_text(f"events {{}}\nhttp {{ {certificate}\n{text} }}\n")
        resolve = {f"{self.host}:443": f"127.0.0.1:{self.secure}"}
        said = policy(self.host, {"websecure": f"https://{self.host}"}, resolve, only=only)
        said["targets"].append({"id": "nginx", "type": "nginx", "files": [f"{name}.conf"], "version": "1.31.3"})
        (folder / f"{name}.yaml").write_text(json.dumps(said))
        return folder / f"{name}.yaml"


def by_url(paths: Counter[str]) -> Counter[str]:
    """Add up the requests to a URL of the field and below it."""
    found: Counter[str] = Counter()
    for path, count in paths.items():
        found[path[1:4]] += count
    return found


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
        f"log_format one '$request_method|$uri|$server_protocol|$status|$request'; access_log {log} one;\n"
        f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;\n{text}"
    )
    with running_nginx(http.replace("access_log off;", ""), folder, secure, clear):
        yield Field(host, secure, clear, folder / "authority.pem", folder / "field.yaml", log)
