"""What goes into a browser's decision and what comes out: the page, the request script makes, the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from auditor.browser.cors import Credentials
from auditor.browser.reason import Reason
from auditor.browser.url import Origin, Url
from auditor.dataclass import dataclass
from auditor.exchange import Outcome, Request, Response, Unknown

Answer = Callable[[Request], Outcome | Response | None]
"""Something that answers requests, predicted or live alike; None stands for a closed connection."""

Mode = Literal["cors", "no-cors", "same-origin", "navigate", "websocket"]
RedirectMode = Literal["follow", "error", "manual"]
ReferrerPolicy = Literal[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
]
EmbedderPolicy = Literal["unsafe-none", "require-corp", "credentialless"]
AddressSpace = Literal["loopback", "local", "public"]
ResponseType = Literal["basic", "cors", "opaque", "opaqueredirect", "error"]


@dataclass(frozen=True, slots=True)
class Page:
    """One document or worker that script runs in.

    `url_origin` is where it was loaded from when its origin is opaque or inherited (a sandboxed page keeps the
    scheme it came by); `ancestors` are the origins of the frames around it, outermost first.
    `space` is the address space it was loaded from, None where that is not of interest (Local Network Access);
    `space_of` says where a URL's host is (default: by its literal address); `local_network` is what the user said
    to the permission prompt, None for no answer.
    """

    origin: Origin
    url_origin: Origin | None = None
    ancestors: tuple[Origin, ...] = ()
    referrer_policy: ReferrerPolicy = "strict-origin-when-cross-origin"
    embedder_policy: EmbedderPolicy = "unsafe-none"
    space: AddressSpace | None = None
    space_of: Callable[[Url], AddressSpace | None] | None = None
    local_network: bool | None = None

    @property
    def came_from(self) -> Origin:
        """The origin that says whether the page was loaded securely."""
        return self.url_origin or self.origin

    @property
    def top(self) -> Origin:
        """The top-level page's origin."""
        return self.ancestors[0] if self.ancestors else self.origin


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One request as script asks for it: the arguments of `fetch()`, or what an element or form amounts to.

    `headers` are the author's, in order. `body` is whether there is one and its text; `body_type` is the
    Content-Type that the body brings along (None: `text/plain;charset=UTF-8` for text).
    `xhr`: made by XMLHttpRequest, `upload_listener` is its use-CORS-preflight flag. `target_space` is fetch's
    `targetAddressSpace`. `crossorigin`: made by an element with that attribute. `top_level`: a navigation of the
    top-level page.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials = "same-origin"
    mode: Mode = "cors"
    redirect: RedirectMode = "follow"
    body: str | None = None
    body_type: str | None = "text/plain;charset=UTF-8"
    referrer_policy: ReferrerPolicy | None = None
    upload_listener: bool = False
    destination: str = ""
    accept: str = "*/*"
    target_space: AddressSpace | None = None
    xhr: bool = False
    crossorigin: bool = False
    top_level: bool = False


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request that went over the wire, and what came back.

    `hop` counts redirects from 0. `credentials` is whether the user's cookies may go along.
    """

    request: Request
    response: Response | None
    preflight: bool = False
    hop: int = 0
    credentials: bool = False

    @property
    def url(self) -> str:
        """The absolute URL asked."""
        return self.request.url

    @property
    def origin(self) -> str | None:
        """The Origin header as sent, None where there was none."""
        return self.request.headers.get("Origin")


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What one request came to: what was sent, whether the server executed it, what script gets.

    `executed`: at least one request other than a preflight reached the server.
    `readable`: script certainly reads the answer; `reason` says why not. Reason `UNDECIDED` means that neither is
    certain: `undecided` names what made it so, and neither a leak nor a protection may be concluded.
    `readable_headers`: what script sees, lower-case names, sorted, repeats joined.
    `threw`: the call itself failed before anything was tried (TypeError, SecurityError).
    """

    page: Page
    request: FetchRequest
    sent: tuple[SentRequest, ...]
    executed: bool
    readable: bool
    reason: Reason | None
    type: ResponseType = "error"
    response: Response | None = None
    readable_headers: tuple[tuple[str, str], ...] = ()
    url: str = ""
    redirected: bool = False
    detail: str = ""
    undecided: tuple[Unknown, ...] = ()
    threw: bool = False

    def because(self, reason: Reason) -> FetchResult:
        """Return the same exchange with script kept from reading for one more reason."""
        undecided = (Unknown("the answer's type is not decided", None, "headers"),)
        return replace(
            self,
            readable=False,
            reason=reason,
            type="error",
            readable_headers=(),
            undecided=undecided if reason is Reason.UNDECIDED else (),
        )

    def unread(self) -> FetchResult:
        """Return the same exchange as a call sees it that hands script no answer."""
        return self.because(Reason.NOT_READABLE_BY_DESIGN)

    @property
    def decided(self) -> bool:
        """Whether the answer is certain."""
        return self.reason is not Reason.UNDECIDED

    @property
    def may_be_readable(self) -> bool:
        """Whether script reads the answer, certainly or possibly."""
        return self.readable or (self.reason is Reason.UNDECIDED and self.type != "opaque")

    @property
    def may_be_executed(self) -> bool:
        """Whether the server executes the request, certainly or possibly."""
        return self.executed or self.reason is Reason.UNDECIDED

    @property
    def needed_preflight(self) -> bool:
        """Whether a preflight was sent."""
        return any(sent.preflight for sent in self.sent)

    @property
    def credentials_sent(self) -> bool:
        """Whether the user's credentials may go along with at least one request."""
        return any(sent.credentials for sent in self.sent)
