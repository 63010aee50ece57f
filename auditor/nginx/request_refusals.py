"""Says what nginx refuses in the arguments of directives that are about requests, answers, files and logs.

Each rule is that of the directive's handler in nginx's source (src/core/..., src/http/...), named by the directive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.nginx.arguments import (
    Checker,
    Complaint,
    all_values,
    last_value,
    number,
    parameter,
    regex_complaints,
    seconds,
    size,
    variable_complaints,
    words,
)

_LEVELS = frozenset({"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"})
_DEBUG_LEVELS = frozenset(f"debug_{part}" for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream"))
_METHODS = words("get head post put delete mkcol copy move options propfind proppatch lock unlock patch connect")


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
            yield parameter(args, index, "max=, inactive= or off")
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
            yield parameter(args, index, "max=, inactive=, min_uses=, valid= or off")
    if not any(arg.startswith("max=") for arg in args):
        yield 0, 'the parameter "max" is missing', "write max=1000"


def _resolver(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if not arg or (not arg.startswith(("valid=", "ipv4=", "ipv6=")) and re.search(r"[/?]", arg)):
            yield index, f'"{arg}" is not the address of a name server', "write ADDRESS or ADDRESS:PORT"
        if arg.startswith("valid=") and seconds(arg[6:], whole=True) is None:
            yield index, f'"{arg}" is not a time', "write valid=30s"
        elif arg.startswith(("ipv4=", "ipv6=")) and arg[5:] not in {"on", "off"}:
            yield parameter(args, index, "ipv4=on|off, ipv6=on|off")
    if all("=" in arg for arg in args):
        yield -1, "no name server is named", "write the address of one"
    if "ipv4=off" in args and "ipv6=off" in args:
        yield 0, "both IPv4 and IPv6 are switched off", "leave one on"


def _gzip_disable(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg not in {"msie6", "degradation"}:
            yield from regex_complaints(index, arg, caseless=True)


def _disable_symlinks(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg not in {"off", "on", "if_not_owner"} and not arg.startswith("from="):
            yield parameter(args, index, "on, off, if_not_owner and from=")
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
            yield parameter(args, 1, 'nothing after "off"')
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
            yield parameter(args, index, "buffer=, gzip, flush= and if=")
    if buffered and ("$" in args[0] or args[0].startswith("syslog:")):
        yield 0, "a buffered log cannot have variables in its name", "remove buffer= or the variables"


def _expires(args: Sequence[str], _: str) -> Iterator[Complaint]:
    value = args[-1]
    if len(args) == 2 and args[0] != "modified":
        yield 0, f'"{args[0]}" is not "modified"', "write expires TIME, or expires modified TIME"
        return
    if "$" in value:
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


def _index(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if not arg:
            yield index, "an index without a name", "name a file"
    yield from all_values(args, _)


def _try_files(args: Sequence[str], _: str) -> Iterator[Complaint]:
    last = args[-1]
    if last.startswith("="):
        value = number(last[1:])
        if value is None or value > 999:
            yield len(args) - 1, f'"{last}" is not a status', "write =404"
        args = args[:-1]
    yield from all_values(args, _)


def _defines(args: Sequence[str], _: str) -> Iterator[Complaint]:
    """Complain about a first argument that is no variable."""
    if len(args[0]) < 2 or not args[0].startswith("$"):
        yield 0, f'"{args[0]}" is not a variable', "write $name"
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


def _server_name(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith("~"):
            if len(arg) == 1:
                yield index, "the regular expression is empty", "write ~pattern"
            yield from regex_complaints(index, arg[1:], caseless=any("A" <= c <= "Z" for c in arg) and False)
        elif (arg.startswith("*") and not arg.startswith("*.")) or arg in {"*.", "."}:
            yield index, f'"{arg}" is not a server name', "a star stands for whole labels: *.example.com"


def _valid_referers(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith("~"):
            if len(arg) == 1:
                yield index, "the regular expression is empty", "write ~pattern"
            yield from regex_complaints(index, arg[1:], caseless=True)
        elif not arg or "\0" in arg:
            yield index, "a referer without a name", "name a host"


def _use(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"epoll", "poll", "select", "kqueue", "eventport", "/dev/poll"}:
        yield 0, f'"{args[0]}" is not a way to wait for events', "write epoll, or leave it out"


def _worker_cpu_affinity(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if re.fullmatch(r"[01 ]+", arg) is None and (index or arg != "auto"):
            yield index, f'"{arg}" is not a mask of processors', 'write 0101, or "auto"'


def _modern_browser(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "unlisted":
            yield parameter(args, 0, "unlisted, or a browser and a version")
    elif args[0] not in {"msie", "gecko", "opera", "safari", "konqueror"}:
        yield 0, f'"{args[0]}" is not a browser that nginx knows', "write msie, gecko, opera, safari or konqueror"
    elif re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){0,3}", args[1], re.ASCII) is None:
        yield 1, f'"{args[1]}" is not a version', "write 1.0"


def _userid_expires(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"max", "off"} and seconds(args[0], whole=True) is None:
        yield 0, f'"{args[0]}" is not a time', "write a time, max or off"


def _userid_mark(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "off" and re.fullmatch(r"[A-Za-z0-9=]", args[0]) is None:
        yield 0, f'"{args[0]}" is not a mark', 'write a letter, a digit, "=" or off'


def _charset(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "$":
        yield 0, "a variable without a name", "write $name"


def _assigns(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args[0]) < 2 or not args[0].startswith("$"):
        yield 0, f'"{args[0]}" is not a variable', "write $name"


_ASSIGNING = words("""set_encode_base64 set_decode_base64 set_encode_base64url set_decode_base64url set_decode_hex set_encode_hex
    set_hmac_sha1 set_hmac_sha256 set_md5 set_sha1 set_unescape_uri set_escape_uri set_quote_sql_str set_quote_pgsql_str
    set_quote_json_str set_if_empty set_encode_base32 set_decode_base32 set_local_today set_formatted_gmt_time
    set_formatted_local_time set_random set_secure_random_alphanum set_secure_random_lcalpha set_rotate js_set js_var""")

RULES: dict[str, Checker] = {
    "sub_filter": all_values,
    "worker_processes": _worker_processes,
    "worker_priority": _worker_priority,
    "error_log": _error_log,
    "root": _root,
    "alias": _root,
    "limit_except": _limit_except,
    "aio": _aio,
    "directio": _directio,
    "keepalive_timeout": _keepalive_timeout,
    "error_page": _error_page,
    "open_file_cache": _open_file_cache,
    "open_log_file_cache": _open_log_file_cache,
    "resolver": _resolver,
    "gzip_disable": _gzip_disable,
    "disable_symlinks": _disable_symlinks,
    "log_format": _log_format,
    "access_log": _access_log,
    "expires": _expires,
    "add_header": _add_header,
    "add_trailer": _add_header,
    "index": _index,
    "try_files": _try_files,
    "set": _defines,
    "auth_request_set": _defines,
    "proxy_set_header": last_value,
    "grpc_set_header": last_value,
    "proxy_set_body": all_values,
    "auth_basic_user_file": all_values,
    "rewrite": _rewrite,
    "return": _return,
    "server_name": _server_name,
    "valid_referers": _valid_referers,
    "charset": _charset,
    "source_charset": _charset,
    "worker_cpu_affinity": _worker_cpu_affinity,
    "modern_browser": _modern_browser,
    "userid_expires": _userid_expires,
    "userid_mark": _userid_mark,
    **dict.fromkeys(_ASSIGNING, _assigns),
    **{
        f"{prefix}_{name}": all_values
        for prefix in ("proxy", "fastcgi", "uwsgi", "scgi")
        for name in ("cache_key", "cache", "store")
    },
    "use": _use,
}
"""The rules, by directive."""
