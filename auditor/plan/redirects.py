"""Where a redirect leads. None is followed: no promise of a policy is about what is there.

Every rule is about the answer to one request, and the configuration predicts that same answer: a probe's `expect_status` is
the status of its own path (a 301 there is another status, unless `tls.redirect` wants it), an error page is the body of the
error itself, CORS and security headers have to be on the redirect too, since browsers look at each hop. What a hop on the
target then answers is asked as a URL of its own, where the policy has a route for it, at every entrypoint; that a redirect
to HTTPS arrives is seen there. So a loop ends at its first answer, and nothing off the target is ever dialled.
"""

from __future__ import annotations

from auditor.browser.cors import REDIRECTS
from auditor.browser.url import Url, escaped_bytes, parse_url
from auditor.exchange import UNKNOWN_VALUE, Request, Response


def redirected_to(request: Request, response: Response | None) -> Url | None:
    """Return the URL that an answer leads to; None where it is no redirect, or leads nowhere that is decided."""
    if response is None or response.status not in REDIRECTS:
        return None
    location = response.headers.get("Location")
    if not location or UNKNOWN_VALUE in location:
        return None
    return parse_url(escaped_bytes(location), parse_url(request.url))
