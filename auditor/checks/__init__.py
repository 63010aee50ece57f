"""The checks: one file each, named after the bad pattern; the registry is the tuple below.

A check module has a docstring with six headings (its page), `CHECK` (its CheckInfo), `KINDS` (which clauses of a policy
it reads, and which keys of them it decides) and `decide(rule, facts)`, which yields None for every case it found in
order, and a Finding for every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from auditor.checks import (
    backend_network_not_internal,
    backend_port_published,
    backend_reachable,
    backend_route_bypasses_proxy,
    backend_url_in_client,
    cache_control_wrong,
    compression_missing,
    configuration_incomplete,
    configuration_refused,
    cookie_not_http_only,
    cookie_not_secure,
    cookie_prefix,
    cookie_same_site,
    cors_any_origin,
    cors_credentials_missing,
    cors_credentials_not_allowed,
    cors_duplicate_header,
    cors_exposed_header_unlisted,
    cors_header_not_allowed,
    cors_header_refused,
    cors_headers_for_disallowed_origin,
    cors_insecure_origin,
    cors_lost_on_error,
    cors_malformed_value,
    cors_max_age_out_of_range,
    cors_method_not_allowed,
    cors_method_refused,
    cors_null_origin,
    cors_origin_not_allowed,
    cors_origin_refused,
    cors_preflight_fails,
    cors_private_network_allowed,
    cors_refusal_wrong_status,
    cors_vary_origin_missing,
    cors_wildcard_with_credentials,
    csp_bypassable_host,
    csp_missing_directive,
    csp_report_only,
    csp_unsafe_eval,
    csp_unsafe_inline,
    csp_wildcard,
    dashboard_exposed,
    default_server_differs,
    denied_path_served,
    deprecated_header,
    error_leaks_details,
    error_page_missing,
    error_page_wrong,
    forwarded_header_wrong,
    header_duplicate,
    header_injected_by_client,
    header_lost_by_inheritance,
    header_lost_on_error,
    header_missing,
    header_present,
    header_wrong_value,
    health_endpoint_broken,
    host_header_trusted,
    hsts_no_subdomains,
    hsts_on_plain_http,
    hsts_too_short,
    https_redirect_missing,
    keepalive_missing,
    path_escapes_alias,
    pattern_undecided,
    rate_limit_key_spoofable,
    rate_limit_missing,
    rate_limit_never_applies,
    rate_limit_shared,
    rate_limit_too_loose,
    rate_limit_wrong_status,
    route_shadowed,
    route_unserved,
    route_wrong_upstream,
    server_version_disclosed,
    timeout_out_of_range,
    tls_version_too_old,
    unknown_host_served,
    upstream_chosen_by_client,
    websocket_buffered,
    websocket_origin_not_allowed,
    websocket_origin_refused,
    websocket_upgrade_broken,
)
from auditor.checks.of_the_audit import OF_THE_AUDIT
from auditor.errors import UsageError
from auditor.finding import CheckInfo, Finding
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule


class Check(Protocol):
    """What a check module has."""

    @property
    def CHECK(self) -> CheckInfo:  # noqa: N802 - a module's constant
        """The check as reports name it."""
        ...

    @property
    def KINDS(self) -> Mapping[str, tuple[str, ...]]:  # noqa: N802 - as above
        """The kinds of rules it reads, and the keys of each that it decides."""
        ...

    @property
    def decide(self) -> Callable[[Rule, Facts], Iterator[Finding | None]]:
        """Decide one rule on the facts."""
        ...


CHECKS: tuple[Check, ...] = (
    backend_network_not_internal,
    backend_port_published,
    backend_reachable,
    backend_route_bypasses_proxy,
    backend_url_in_client,
    cache_control_wrong,
    compression_missing,
    configuration_incomplete,
    configuration_refused,
    cookie_not_http_only,
    cookie_not_secure,
    cookie_prefix,
    cookie_same_site,
    cors_any_origin,
    cors_credentials_missing,
    cors_credentials_not_allowed,
    cors_duplicate_header,
    cors_exposed_header_unlisted,
    cors_header_not_allowed,
    cors_header_refused,
    cors_headers_for_disallowed_origin,
    cors_insecure_origin,
    cors_lost_on_error,
    cors_malformed_value,
    cors_max_age_out_of_range,
    cors_method_not_allowed,
    cors_method_refused,
    cors_null_origin,
    cors_origin_not_allowed,
    cors_origin_refused,
    cors_preflight_fails,
    cors_private_network_allowed,
    cors_refusal_wrong_status,
    cors_vary_origin_missing,
    cors_wildcard_with_credentials,
    csp_bypassable_host,
    csp_missing_directive,
    csp_report_only,
    csp_unsafe_eval,
    csp_unsafe_inline,
    csp_wildcard,
    dashboard_exposed,
    default_server_differs,
    denied_path_served,
    deprecated_header,
    error_leaks_details,
    error_page_missing,
    error_page_wrong,
    forwarded_header_wrong,
    header_duplicate,
    header_injected_by_client,
    header_lost_by_inheritance,
    header_lost_on_error,
    header_missing,
    header_present,
    header_wrong_value,
    health_endpoint_broken,
    host_header_trusted,
    hsts_no_subdomains,
    hsts_on_plain_http,
    hsts_too_short,
    https_redirect_missing,
    keepalive_missing,
    path_escapes_alias,
    pattern_undecided,
    rate_limit_key_spoofable,
    rate_limit_missing,
    rate_limit_never_applies,
    rate_limit_shared,
    rate_limit_too_loose,
    rate_limit_wrong_status,
    route_shadowed,
    route_unserved,
    route_wrong_upstream,
    server_version_disclosed,
    timeout_out_of_range,
    tls_version_too_old,
    unknown_host_served,
    upstream_chosen_by_client,
    websocket_buffered,
    websocket_origin_not_allowed,
    websocket_origin_refused,
    websocket_upgrade_broken,
)


def by_id(check_id: str) -> Check:
    """Return the check with this id; raises UsageError with the nearest id."""
    found = next((check for check in CHECKS if check.CHECK.id == check_id), None)
    if found is None:
        from difflib import get_close_matches  # noqa: PLC0415 - only where something is misspelt

        ids = [*(check.CHECK.id for check in CHECKS), *(info.id for info in OF_THE_AUDIT)]
        near = get_close_matches(check_id, ids, 1)
        hint = f"did you mean {near[0]}?" if near else "auditor explain lists them"
        raise UsageError(f"there is no check {check_id!r}", hint=hint)
    return found


def page(check_id: str) -> str:
    """Return the page of one check: its id, severity and documentation."""
    info = next((info for info in OF_THE_AUDIT if info.id == check_id), None)
    text = info.help if info else by_id(check_id).__doc__ or ""
    info = info or by_id(check_id).CHECK
    return f"# {info.id} ({info.severity.word}, since {info.since})\n\n{text.strip()}\n"
