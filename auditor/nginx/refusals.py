"""Says what nginx refuses in the arguments of one directive, by the directive's own rules.

Each rule is that of the directive's handler in nginx's source (src/http/…, src/core/…), named by the directive.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from auditor.nginx.arguments import (
    KINDS,
    Checker,
    Complaint,
    number,
    regex,
    regex_complaints,
    seconds,
    size,
    variable_complaints,
)

_LEVELS = frozenset({"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"})
_DEBUG_LEVELS = frozenset(f"debug_{part}" for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream"))
_METHODS = frozenset(
    "get head post put delete mkcol copy move options propfind proppatch lock unlock patch connect".split()
)
_SMALLEST_ZONE = 8 * 4096
"""Eight pages of 4096 bytes (ngx_http_limit_req_module.c and others)."""


def _parameter(args: Sequence[str], index: int, known: str) -> Complaint:
    return index, f'"{args[index]}" is not one of its parameters', f"it takes {known}"


def _worker_processes(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "auto" and number(args[0]) is None:
        yield 0, f'"{args[0]}" is not a number', 'write a number or "auto"'


def _worker_priority(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if number(args[0].removeprefix("-") if args[0][:1] == "-" else args[0].removeprefix("+")) is None:
        yield 0, f'"{args[0]}" is not a number', "write a number"


def _error_log(args: Sequence[str], _: str) -> Iterator[Complaint]:
    plain = 0
    for index in range(1, len(args)):
        plain += args[index] in _LEVELS
        if args[index] not in _LEVELS | _DEBUG_LEVELS or plain > 1:
            yield index, f'"{args[index]}" is not a log level here', "write one of: " + ", ".join(sorted(_LEVELS))
    yield from _syslog(args)


def _syslog(args: Sequence[str]) -> Iterator[Complaint]:
    if args[0].startswith("syslog:"):
        parts = args[0][7:].split(",")
        if not any(part.startswith("server=") for part in parts):
            yield 0, "no syslog server is given", "write syslog:server=ADDRESS"
        for part in parts:
            if part != "nohostname" and not part.startswith(("server=", "facility=", "severity=", "tag=")):
                yield 0, f'"{part}" is not a syslog parameter', "it takes server, facility, severity, tag, nohostname"


def _root(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if re.search(r"\$\{?(?:document_root|realpath_root)\b", args[0]):
        yield 0, "the root cannot be made of itself", "use another variable"
    yield from variable_complaints(args, 0)


def _limit_except(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.lower() not in _METHODS:
            yield index, f'"{arg}" is not a method that nginx knows', "write GET, POST, PUT, …"


def _aio(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"on", "off", "threads"} and not args[0].startswith("threads="):
        yield 0, f'"{args[0]}" is not one of its values', "write on, off or threads"
    elif args[0].startswith("threads="):
        yield from variable_complaints(args, 0)


def _directio(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "off" and size(args[0], "kKmMgG") is None:
        yield 0, f'"{args[0]}" is not a size', 'write a size, or "off"'


def _keepalive_timeout(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if seconds(args[0], whole=False) is None:
        yield 0, f'"{args[0]}" is not a time', "write seconds"
    if len(args) > 1 and seconds(args[1], whole=True) is None:
        yield 1, f'"{args[1]}" is not a time', "write seconds"


def _keepalive_upstream(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if not number(args[0]):
        yield 0, f'"{args[0]}" is not a number of connections', "write a positive number"
    if len(args) > 1 and args[1] != "local":
        yield _parameter(args, 1, "local")


def _error_page(args: Sequence[str], _: str) -> Iterator[Complaint]:
    codes = args[:-1]
    if codes[-1].startswith("="):
        if (codes[-1] != "=" and number(codes[-1][1:]) is None) or len(codes) == 1:
            yield (
                len(codes) - 1,
                f'"{codes[-1]}" is not a code to answer with',
                "write statuses, then =CODE, then the page",
            )
        codes = codes[:-1]
    for index, code in enumerate(codes):
        value = number(code)
        if value is None:
            yield index, f'"{code}" is not a status', "write statuses from 300 to 599, then the page"
        elif value == 499 or not 300 <= value <= 599:
            yield index, f"{value} has no error page", "write statuses from 300 to 599 except 499"
    yield from variable_complaints(args, len(args) - 1)


def _open_file_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    off = False
    for index, arg in enumerate(args):
        if arg.startswith("max="):
            if not number(arg[4:]):
                yield index, f'"{arg}" is not a number of files', "write max=1000"
        elif arg.startswith("inactive="):
            if seconds(arg[9:], whole=True) is None:
                yield index, f'"{arg}" is not a time', "write inactive=60s"
        elif arg == "off":
            off = True
        else:
            yield _parameter(args, index, "max=, inactive= or off")
    if not off and not any(arg.startswith("max=") for arg in args):
        yield 0, 'the parameter "max" is missing', "write max=1000"


def _open_log_file_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "off" and len(args) == 1:
        return
    for index, arg in enumerate(args):
        name, _equals, value = arg.partition("=")
        if (name in {"max", "min_uses"} and number(value)) or (
            name in {"inactive", "valid"} and seconds(value, whole=True) is not None
        ):
            continue
        if arg != "off":
            yield _parameter(args, index, "max=, inactive=, min_uses=, valid= or off")
    if not any(arg.startswith("max=") for arg in args):
        yield 0, 'the parameter "max" is missing', "write max=1000"


def _resolver(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if "=" not in arg and "/" in arg:
            yield index, f'"{arg}" is not the address of a name server', "write ADDRESS or ADDRESS:PORT"
        if arg.startswith("valid=") and seconds(arg[6:], whole=True) is None:
            yield index, f'"{arg}" is not a time', "write valid=30s"
        elif arg.startswith(("ipv4=", "ipv6=")) and arg[5:] not in {"on", "off"}:
            yield _parameter(args, index, "ipv4=on|off, ipv6=on|off")
    if "ipv4=off" in args and "ipv6=off" in args:
        yield 0, "both IPv4 and IPv6 are switched off", "leave one on"


def _gzip_disable(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg not in {"msie6", "degradation"}:
            yield from regex_complaints(index, arg, caseless=True)


def _disable_symlinks(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg not in {"off", "on", "if_not_owner"} and not arg.startswith("from="):
            yield _parameter(args, index, "on, off, if_not_owner and from=")
        yield from variable_complaints(args, index)
    if not {"off", "on", "if_not_owner"} & set(args):
        yield -1, "it says neither on nor off nor if_not_owner", "write one of them"


def _log_format(args: Sequence[str], _: str) -> Iterator[Complaint]:
    first = 1
    if args[1].startswith("escape="):
        first = 2
        if args[1][7:] not in {"default", "json", "none"}:
            yield 1, f'"{args[1]}" is not a way to escape', "write escape=default, escape=json or escape=none"
    for index in range(first, len(args)):
        yield from variable_complaints(args, index)


def _access_log(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "off":
        if len(args) > 1:
            yield _parameter(args, 1, 'nothing after "off"')
        return
    yield from variable_complaints(args, 0)
    yield from _syslog(args)
    buffered = False
    for index, arg in enumerate(args[2:], 2):
        name, equals, value = arg.partition("=")
        if (name == "buffer" and equals and size(value)) or (
            name == "gzip" and (not equals or 1 <= (number(value) or 0) <= 9)
        ):
            buffered = True
        elif name == "flush" and equals and seconds(value, whole=False):
            if not any(other.startswith(("buffer=", "gzip")) for other in args[2:]):
                yield index, "there is no buffer to flush", "add buffer="
        elif name == "if" and equals:
            yield from variable_complaints(args, index)
        else:
            yield _parameter(args, index, "buffer=, gzip, flush= and if=")
    if buffered and ("$" in args[0] or args[0].startswith("syslog:")):
        yield 0, "a buffered log cannot have variables in its name", "remove buffer= or the variables"


def _zone(arg: str) -> str:
    """Return what is wrong with the rest of a zone=NAME:SIZE parameter, or ""."""
    name, colon, amount = arg.rpartition(":")
    if not colon or not name:
        return "is not NAME:SIZE"
    value = size(amount)
    if value is None:
        return f'has "{amount}" for a size'
    return "is smaller than 32k" if value < _SMALLEST_ZONE else ""


def _limit_conn_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    if not args[1].startswith("zone="):
        yield _parameter(args, 1, "zone=NAME:SIZE")
    elif reason := _zone(args[1][5:]):
        yield 1, f'"{args[1]}" {reason}', "write zone=NAME:10m"


def _limit_req_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    zoned = False
    for index, arg in enumerate(args[1:], 1):
        if arg.startswith("zone="):
            zoned = True
            if reason := _zone(arg[5:]):
                yield index, f'"{arg}" {reason}', "write zone=NAME:10m"
        elif arg.startswith("rate="):
            if re.fullmatch(r"0*[1-9]\d{0,15}(?:r/[sm])?", arg[5:], re.ASCII) is None:
                yield index, f'"{arg}" is not a rate', "write rate=10r/s or rate=60r/m"
        else:
            yield _parameter(args, index, "zone=NAME:SIZE and rate=Nr/s")
    if not zoned:
        yield -1, 'the parameter "zone" is missing', "write zone=NAME:10m"


def _limit_req(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith(("burst=", "delay=")):
            if not number(arg[6:]):
                yield index, f'"{arg}" is not a number of requests', "write a positive number"
        elif not arg.startswith("zone=") and arg != "nodelay":
            yield _parameter(args, index, "zone=, burst=, nodelay and delay=")
    if not any(arg.startswith("zone=") for arg in args):
        yield -1, 'the parameter "zone" is missing', "write zone=NAME"


def _limit_conn(args: Sequence[str], _: str) -> Iterator[Complaint]:
    value = number(args[1])
    if not value or value > 65535:
        yield 1, f'"{args[1]}" is not a number of connections', "write a number from 1 to 65535"


def _address_range(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"all", "unix:"} and not is_network(args[0]):
        yield 0, f'"{args[0]}" is not an address or network', "write 192.0.2.0/24, 2001:db8::/32 or all"


def is_network(text: str) -> bool:
    """Whether a text is an address or a network as ngx_ptocidr reads them."""
    address, slash, bits = text.partition("/")
    if address.startswith(("+", " ")) or "%" in address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return _old_address(address) and (not slash or (number(bits) is not None and int(bits) <= 32))
    if not slash:
        return True
    value = number(bits)
    return value is not None and value <= parsed.max_prefixlen


def _old_address(text: str) -> bool:
    """Whether a text is four numbers, which nginx takes with leading zeros too (ngx_inet_addr)."""
    parts = text.split(".")
    return len(parts) == 4 and all(number(p) is not None and int(p) <= 255 for p in parts)


def _expires(args: Sequence[str], _: str) -> Iterator[Complaint]:
    value = args[-1]
    if len(args) == 2 and args[0] != "modified":
        yield 0, f'"{args[0]}" is not "modified"', "write expires TIME, or expires modified TIME"
        return
    if value.startswith("$"):
        yield from variable_complaints(args, len(args) - 1)
        return
    if len(args) == 1 and value in {"epoch", "max", "off"}:
        return
    daily = value.startswith("@")
    amount = value[1:] if daily or value.startswith(("-", "+")) else value
    time = seconds(amount, whole=True)
    if time is None or (daily and time >= 86400) or (daily and len(args) == 2):
        yield len(args) - 1, f'"{value}" is not a time', "write a time, @ and a time of day, epoch, max or off"


def _add_header(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 3 and args[2] != "always":
        yield 2, f'"{args[2]}" is not "always"', "quote a value that has spaces"
    yield from variable_complaints(args, 1)


def _all_values(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index in range(len(args)):
        yield from variable_complaints(args, index)


def _last_value(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, len(args) - 1)


def _index(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if not arg:
            yield index, "an index without a name", "name a file"
    yield from _all_values(args, _)


def _try_files(args: Sequence[str], _: str) -> Iterator[Complaint]:
    last = args[-1]
    if last.startswith("="):
        value = number(last[1:])
        if value is None or value > 999:
            yield len(args) - 1, f'"{last}" is not a status', "write =404"
        args = args[:-1]
    yield from _all_values(args, _)


def _defines(args: Sequence[str], _: str) -> Iterator[Complaint]:
    """Complain about a first argument that is no variable."""
    if len(args[0]) < 2 or not args[0].startswith("$"):
        yield 0, f'"{args[0]}" is not a variable', "write $name"
    yield from variable_complaints(args, 1)


def _fastcgi_param(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 3 and args[2] != "if_not_empty":
        yield 2, f'"{args[2]}" is not "if_not_empty"', "quote a value that has spaces"
    yield from variable_complaints(args, 1)


def _rewrite(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from regex_complaints(0, args[0])
    yield from variable_complaints(args, 1)
    if not args[1]:
        yield 1, "the replacement is empty", "write a URI"
    if len(args) == 3 and args[2] not in {"last", "break", "redirect", "permanent"}:
        yield 2, f'"{args[2]}" is not a flag', "write last, break, redirect or permanent"


def _return(args: Sequence[str], _: str) -> Iterator[Complaint]:
    code = number(args[0])
    if code is None:
        if len(args) > 1 or not args[0].startswith(("http://", "https://", "$scheme")):
            yield 0, f'"{args[0]}" is not a status', "write a status, then the text or the URL"
    elif code > 999:
        yield 0, f"{code} is not a status", "write a status of three digits"
    yield from variable_complaints(args, len(args) - 1)


def _ssl_session_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg in {"off", "none", "builtin"}:
            continue
        if arg.startswith("builtin:") and number(arg[8:]) is not None:
            continue
        if arg.startswith("shared:") and not _zone(arg[7:]):
            continue
        yield index, f'"{arg}" is not a session cache', "write off, none, builtin or shared:NAME:SIZE"


def _proxy_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    target = args[0]
    if "$" in target:
        yield from variable_complaints(args, 0)
        return
    match = re.match(r"https?://", target, re.IGNORECASE)
    if match is None:
        yield 0, f'"{target}" does not begin with http:// or https://', "write the upstream as a URL"
        return
    yield from upstream_address(0, target[match.end() :])


def _grpc_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    else:
        yield from upstream_address(0, re.sub(r"(?i)^grpcs?://", "", args[0]))


def _other_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    else:
        yield from upstream_address(0, args[0])


def upstream_address(index: int, text: str, *, name_only: bool = False) -> Iterator[Complaint]:
    """Complain about an address that ngx_parse_url cannot read."""
    if text.startswith("unix:"):
        if not text[5:].split(":")[0]:
            yield index, "the socket has no path", "write unix:/path"
        return
    if text.startswith("["):
        match = re.match(r"\[([^\]]*)\](?::([^/]*))?", text)
        host, port = (match[1], match[2]) if match else ("", None)
    else:
        host, colon, port = text.partition("/")[0].partition("?")[0].partition(":")
        port = port if colon else None
        if name_only and "/" in text:
            yield index, f'"{text}" is not HOST:PORT', "write HOST:PORT without a path"
    if not host:
        yield index, "the upstream has no host", "write HOST:PORT"
    if port is not None and not 1 <= (number(port) or 0) <= 65535:
        yield index, f'"{port}" is not a port', "write a number from 1 to 65535"


def _proxy_redirect(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] not in {"off", "default", "false"}:
            yield _parameter(args, 0, "off, default, or two arguments")
        return
    yield from _pattern_pair(args)


def _proxy_cookie(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "off":
            yield _parameter(args, 0, "off, or two arguments")
        return
    yield from _pattern_pair(args)


def _pattern_pair(args: Sequence[str]) -> Iterator[Complaint]:
    if args[0].startswith("~"):
        caseless = args[0].startswith("~*")
        pattern = args[0][2 if caseless else 1 :]
        if not pattern:
            yield 0, "the regular expression is empty", "write ~pattern"
        yield from regex_complaints(0, pattern, caseless=caseless)
    else:
        yield from variable_complaints(args, 0)
    yield from variable_complaints(args, 1)


def _cache_path(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args[1:], 1):
        name, _equals, value = arg.partition("=")
        complaint = _cache_parameter(name, value)
        if complaint is None:
            yield _parameter(args, index, "levels=, keys_zone=, inactive=, max_size=, …")
        elif not complaint:
            yield index, f'"{arg}" is not valid', "see the documentation of the parameter"
    if not any(arg.startswith("keys_zone=") for arg in args):
        yield -1, 'the parameter "keys_zone" is missing', "write keys_zone=NAME:10m"


def _cache_parameter(name: str, value: str) -> bool | None:
    """Whether a parameter of a cache path is right; None where there is no such parameter."""
    if name == "levels":
        return re.fullmatch(r"[12](?::[12]){0,2}", value, re.ASCII) is not None
    if name in {"use_temp_path", "purger"}:
        return value in {"on", "off"}
    if name == "keys_zone":
        return not _zone(value)
    if name == "inactive":
        return seconds(value, whole=True) is not None
    if name in {"max_size", "min_free"}:
        return size(value, "kKmMgG") is not None
    if name in {"loader_files", "manager_files", "purger_files"}:
        return number(value) is not None
    if name in {
        "loader_sleep",
        "loader_threshold",
        "manager_sleep",
        "manager_threshold",
        "purger_sleep",
        "purger_threshold",
    }:
        return seconds(value, whole=False) is not None
    return None


def _cache_valid(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if seconds(args[-1], whole=True) is None:
        yield len(args) - 1, f'"{args[-1]}" is not a time', "write statuses, then a time"
    for index, arg in enumerate(args[:-1]):
        if arg != "any" and not 100 <= (number(arg) or 0) <= 599:
            yield index, f'"{arg}" is not a status', 'write statuses from 100 to 599, or "any"'


def _server_name(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith("~"):
            if len(arg) == 1:
                yield index, "the regular expression is empty", "write ~pattern"
            yield from regex_complaints(index, arg[1:], caseless=any("A" <= c <= "Z" for c in arg) and False)
        elif (arg.startswith("*") and not arg.startswith("*.")) or arg in {"*.", "."}:
            yield index, f'"{arg}" is not a server name', "a star stands for whole labels: *.example.com"


def _types(args: Sequence[str], _: str) -> Iterator[Complaint]:
    del args
    return iter(())


def _valid_referers(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith("~"):
            if len(arg) == 1:
                yield index, "the regular expression is empty", "write ~pattern"
            yield from regex_complaints(index, arg[1:], caseless=True)
        elif not arg or "\0" in arg:
            yield index, "a referer without a name", "name a host"


def _upstream_server(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from upstream_address(0, args[0], name_only=True)
    for index, arg in enumerate(args[1:], 1):
        name, equals, value = arg.partition("=")
        if name == "weight" and equals:
            good = bool(number(value))
        elif name in {"max_conns", "max_fails"} and equals:
            good = number(value) is not None
        elif name in {"fail_timeout", "slow_start"} and equals:
            good = seconds(value, whole=True) is not None
        elif name in {"service", "route"} and equals:
            good = bool(value)
        elif arg in {"backup", "down", "resolve", "drain"}:
            good = True
        else:
            yield _parameter(args, index, "weight=, max_conns=, max_fails=, fail_timeout=, backup, down, resolve")
            continue
        if not good:
            yield index, f'"{arg}" is not valid', "correct the value"


def _hash(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    if len(args) > 1 and args[1] != "consistent":
        yield _parameter(args, 1, "consistent")


def _use(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"epoll", "poll", "select", "kqueue", "eventport", "/dev/poll"}:
        yield 0, f'"{args[0]}" is not a way to wait for events', "write epoll, or leave it out"


def _bind(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "off" and len(args) == 1:
        return
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    elif not is_network(re.sub(r"^\[(.*)\](?::\d+)?$|^([^:]*):\d+$", r"\1\2", args[0])) or "/" in args[0]:
        yield 0, f'"{args[0]}" is not an address', "write an address of this host, or off"
    if len(args) > 1 and args[1] != "transparent":
        yield _parameter(args, 1, "transparent")


def _worker_cpu_affinity(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if re.fullmatch(r"[01 ]+", arg) is None and (index or arg != "auto"):
            yield index, f'"{arg}" is not a mask of processors', 'write 0101, or "auto"'


def _split_path_info(args: Sequence[str], _: str) -> Iterator[Complaint]:
    reason, _names, groups = regex(args[0])
    if reason:
        yield from regex_complaints(0, args[0])
    elif groups != 2:
        yield 0, f"the pattern has {groups} groups", "write two groups: the script, and the path behind it"


def _certificate_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if list(args) == ["off"]:
        return
    for index, arg in enumerate(args):
        name, _equals, value = arg.partition("=")
        good = {
            "max": bool(number(value)),
            "inactive": seconds(value, whole=True) is not None,
            "valid": seconds(value, whole=True) is not None,
        }
        if not good.get(name, False):
            yield _parameter(args, index, "max=, inactive=, valid= or off")
    if not any(arg.startswith("max=") for arg in args):
        yield -1, 'the parameter "max" is missing', "write max=1000"


def _modern_browser(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "unlisted":
            yield _parameter(args, 0, "unlisted, or a browser and a version")
    elif args[0] not in {"msie", "gecko", "opera", "safari", "konqueror"}:
        yield 0, f'"{args[0]}" is not a browser that nginx knows', "write msie, gecko, opera, safari or konqueror"
    elif re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){0,3}", args[1], re.ASCII) is None:
        yield 1, f'"{args[1]}" is not a version', "write 1.0"


def _cookie_flags(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "off":
            yield _parameter(args, 0, "off, or a cookie and flags")
        return
    if args[0].startswith("~"):
        yield from regex_complaints(0, args[0][1:], caseless=True)
    else:
        yield from variable_complaints(args, 0)
    for index, arg in enumerate(args[1:], 1):
        if "$" in arg:
            yield from variable_complaints(args, index)


def _userid_expires(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"max", "off"} and seconds(args[0], whole=True) is None:
        yield 0, f'"{args[0]}" is not a time', "write a time, max or off"


def _userid_mark(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "off" and re.fullmatch(r"[A-Za-z0-9=]", args[0]) is None:
        yield 0, f'"{args[0]}" is not a mark', 'write a letter, a digit, "=" or off'


def _balancer(first: str, second: str) -> Checker:
    """Return the rule of a balancing method that takes a word, and a second word after it."""

    def check(args: Sequence[str], _: str) -> Iterator[Complaint]:
        for index, (arg, known) in enumerate(zip(args, (first, second), strict=False)):
            if re.fullmatch(known, arg) is None:
                yield _parameter(args, index, known.replace("|", ", "))

    return check


def _upstream_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 2:
        value = size(args[1])
        if value is None or value < _SMALLEST_ZONE:
            yield 1, f'"{args[1]}" is not a size for a zone', "write at least 32k"
    if not args[0]:
        yield 0, "the zone has no name", "name it"


def _ocsp_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "off" and not (args[0].startswith("shared:") and not _zone(args[0][7:])):
        yield 0, f'"{args[0]}" is not an OCSP cache', "write off or shared:NAME:SIZE"


def _charset(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "$":
        yield 0, "a variable without a name", "write $name"


def _tunnel_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args:
        yield from _other_pass(args, _)


def _assigns(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args[0]) < 2 or not args[0].startswith("$"):
        yield 0, f'"{args[0]}" is not a variable', "write $name"


_ASSIGNING = """set_encode_base64 set_decode_base64 set_encode_base64url set_decode_base64url set_decode_hex set_encode_hex
    set_hmac_sha1 set_hmac_sha256 set_md5 set_sha1 set_unescape_uri set_escape_uri set_quote_sql_str set_quote_pgsql_str
    set_quote_json_str set_if_empty set_encode_base32 set_decode_base32 set_local_today set_formatted_gmt_time
    set_formatted_local_time set_random set_secure_random_alphanum set_secure_random_lcalpha set_rotate js_set js_var""".split()
_PREFIXES = ("proxy", "fastcgi", "uwsgi", "scgi")

OWN: dict[str, Checker] = {
    "worker_processes": _worker_processes,
    "worker_priority": _worker_priority,
    "error_log": _error_log,
    "root": _root,
    "alias": _root,
    "limit_except": _limit_except,
    "aio": _aio,
    "directio": _directio,
    "keepalive_timeout": _keepalive_timeout,
    "keepalive": _keepalive_upstream,
    "error_page": _error_page,
    "open_file_cache": _open_file_cache,
    "open_log_file_cache": _open_log_file_cache,
    "resolver": _resolver,
    "gzip_disable": _gzip_disable,
    "disable_symlinks": _disable_symlinks,
    "log_format": _log_format,
    "access_log": _access_log,
    "limit_conn_zone": _limit_conn_zone,
    "limit_req_zone": _limit_req_zone,
    "limit_req": _limit_req,
    "limit_conn": _limit_conn,
    "allow": _address_range,
    "deny": _address_range,
    "expires": _expires,
    "add_header": _add_header,
    "add_trailer": _add_header,
    "index": _index,
    "try_files": _try_files,
    "set": _defines,
    "auth_request_set": _defines,
    "fastcgi_param": _fastcgi_param,
    "uwsgi_param": _fastcgi_param,
    "scgi_param": _fastcgi_param,
    "proxy_set_header": _last_value,
    "grpc_set_header": _last_value,
    "proxy_set_body": _all_values,
    "auth_basic_user_file": _all_values,
    "rewrite": _rewrite,
    "return": _return,
    "ssl_session_cache": _ssl_session_cache,
    "proxy_pass": _proxy_pass,
    "grpc_pass": _grpc_pass,
    "fastcgi_pass": _other_pass,
    "uwsgi_pass": _other_pass,
    "scgi_pass": _other_pass,
    "memcached_pass": _other_pass,
    "proxy_redirect": _proxy_redirect,
    "proxy_cookie_domain": _proxy_cookie,
    "proxy_cookie_path": _proxy_cookie,
    "proxy_cache_path": _cache_path,
    "fastcgi_cache_path": _cache_path,
    "uwsgi_cache_path": _cache_path,
    "scgi_cache_path": _cache_path,
    "proxy_cache_valid": _cache_valid,
    "fastcgi_cache_valid": _cache_valid,
    "uwsgi_cache_valid": _cache_valid,
    "scgi_cache_valid": _cache_valid,
    "server_name": _server_name,
    "valid_referers": _valid_referers,
    "server": _upstream_server,
    "charset": _charset,
    "source_charset": _charset,
    "worker_cpu_affinity": _worker_cpu_affinity,
    "fastcgi_split_path_info": _split_path_info,
    "ssl_certificate_cache": _certificate_cache,
    "proxy_ssl_certificate_cache": _certificate_cache,
    "grpc_ssl_certificate_cache": _certificate_cache,
    "uwsgi_ssl_certificate_cache": _certificate_cache,
    "modern_browser": _modern_browser,
    "proxy_cookie_flags": _cookie_flags,
    "userid_expires": _userid_expires,
    "userid_mark": _userid_mark,
    "least_time": _balancer("header|last_byte|connect|first_byte", "inflight"),
    "random": _balancer("two", "least_conn|least_time=(?:header|last_byte|connect|first_byte)"),
    "zone": _upstream_zone,
    **dict.fromkeys(_ASSIGNING, _assigns),
    "ssl_ocsp_cache": _ocsp_cache,
    "tunnel_bind": _bind,
    "tunnel_pass": _tunnel_pass,
    **{f"{prefix}_{name}": _all_values for prefix in _PREFIXES for name in ("cache_key", "cache", "store")},
    "hash": _hash,
    "use": _use,
    "proxy_bind": _bind,
    "fastcgi_bind": _bind,
    "uwsgi_bind": _bind,
    "scgi_bind": _bind,
    "grpc_bind": _bind,
    "memcached_bind": _bind,
}
"""The rules of directives that have their own, in the http block and the main context."""

ONCE = frozenset(
    """worker_processes events http stream mail root alias aio directio keepalive_timeout open_file_cache resolver
    try_files expires auth_request auth_basic_user_file proxy_pass grpc_pass fastcgi_pass uwsgi_pass scgi_pass
    memcached_pass charset source_charset keepalive disable_symlinks real_ip_header use internal tunnel_pass pass
    ssl_alpn proxy_ssl_name proxy_ssl_certificate proxy_ssl_certificate_key ssl_password_file proxy_ssl_password_file
    grpc_ssl_password_file uwsgi_ssl_password_file worker_priority userid_expires userid_mark""".split()
) | {f"{prefix}_{name}" for prefix in _PREFIXES for name in ("cache_key", "cache", "store")}
"""Directives with their own rule that may stand only once in a block."""
