"""From the shipped files to files that run on loopback: addresses and paths change, lines and meaning do not.

| shipped                                        | runs as                          | because                                  |
|------------------------------------------------|----------------------------------|------------------------------------------|
| `listen 80` in nginx                           | `listen 127.0.0.1:N`             | an ordinary user, a free port, no door   |
| `user nginx`                                   | the user who runs it             | there is no user nginx here              |
| `/etc/nginx/`, `/usr/share/nginx/`, `/var/log/nginx/`, `/var/run/` | relative to the run folder | no container       |
| `http {`                                       | the same and temporary paths     | the built-in ones may not be writable    |
| `qwen-api:8000`, `qwen-frontend:80`            | where they listen on loopback    | no container network                     |
| `172.28.0.2` (the edge as nginx's peer)        | `127.0.0.1`                      | as above                                 |
| entry point addresses `:80`, `:443`, `:8080`   | `127.0.0.1:N`                    | as for nginx                             |
| `/etc/traefik/`                                | relative to the run folder       | no container                             |

Each replacement stays on its line, so a live answer and a predicted one point to the same lines.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Mapping

from auditor.dataclass import dataclass

_TEMPORARY = " ".join(f"{kind}_temp_path tmp/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where each door and layer listens: loopback ports, and the backend as nginx writes it in `server`."""

    web: int
    websecure: int
    dashboard: int
    nginx: int
    backend: str


def nginx(text: str, addresses: Addresses) -> str:
    """Return an nginx file of the stack as it runs on loopback, line for line."""
    return _replace(
        text,
        {
            r"(?m)^(\s*listen\s+)80\b": rf"\g<1>127.0.0.1:{addresses.nginx}",
            r"(?m)^(\s*)user(\s+)nginx;": rf"\g<1>user\g<2>{_user()};",
            r"(?m)^http \{$": rf"http {{ {_TEMPORARY}",
            r"/etc/nginx/|/usr/share/nginx/": "",
            r"/var/log/nginx/": "log/",
            r"/var/run/": "",
            r"\bqwen-api:8000\b": addresses.backend,
            r"\b172\.28\.0\.2\b": "127.0.0.1",
        },
    )


def traefik(text: str, addresses: Addresses) -> str:
    """Return a Traefik file of the stack as it runs on loopback, line for line."""
    return _replace(
        text,
        {
            r'(?m)^(\s*address: )":80"': rf'\g<1>"127.0.0.1:{addresses.web}"',
            r'(?m)^(\s*address: )":443"': rf'\g<1>"127.0.0.1:{addresses.websecure}"',
            r'(?m)^(\s*address: )":8080"': rf'\g<1>"127.0.0.1:{addresses.dashboard}"',
            r"\bqwen-frontend:80\b": f"127.0.0.1:{addresses.nginx}",
            r"\bqwen-api:8000\b": addresses.backend,
            r"/etc/traefik/": "",
        },
    )


def _replace(text: str, replacements: Mapping[str, str]) -> str:
    for pattern, replacement in replacements.items():
        text = re.sub(pattern, replacement, text)
    return text


def _user() -> str:
    """Name the user and group of this process for nginx, which asks only when it runs as root."""
    if os.geteuid() != 0:
        return "nginx"
    return f"{pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name}"
