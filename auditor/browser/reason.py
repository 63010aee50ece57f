"""Why a page cannot read an answer: one closed set of codes, Chromium's own wherever it has one."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """Why a fetch ended without a readable response; the values are Chromium's `corsErrorStatus` names where it has one.

    `UNDECIDED` is not a refusal: what the response does not decide (a header that an unmodelled backend may add,
    a status nobody knows) could make the answer readable or not.
    """

    # CORS check of the response (Fetch, "CORS check")
    MISSING_ALLOW_ORIGIN = "MissingAllowOriginHeader"
    MULTIPLE_ALLOW_ORIGIN = "MultipleAllowOriginValues"
    INVALID_ALLOW_ORIGIN = "InvalidAllowOriginValue"
    ALLOW_ORIGIN_MISMATCH = "AllowOriginMismatch"
    WILDCARD_WITH_CREDENTIALS = "WildcardOriginNotAllowed"
    INVALID_ALLOW_CREDENTIALS = "InvalidAllowCredentials"
    # the same on the preflight's response
    PREFLIGHT_MISSING_ALLOW_ORIGIN = "PreflightMissingAllowOriginHeader"
    PREFLIGHT_MULTIPLE_ALLOW_ORIGIN = "PreflightMultipleAllowOriginValues"
    PREFLIGHT_INVALID_ALLOW_ORIGIN = "PreflightInvalidAllowOriginValue"
    PREFLIGHT_ALLOW_ORIGIN_MISMATCH = "PreflightAllowOriginMismatch"
    PREFLIGHT_WILDCARD_WITH_CREDENTIALS = "PreflightWildcardOriginNotAllowed"
    PREFLIGHT_INVALID_ALLOW_CREDENTIALS = "PreflightInvalidAllowCredentials"
    # the rest of the preflight (Fetch, "CORS-preflight fetch" step 7)
    PREFLIGHT_INVALID_STATUS = "PreflightInvalidStatus"
    PREFLIGHT_REDIRECT = "PreflightDisallowedRedirect"
    INVALID_ALLOW_METHODS = "InvalidAllowMethodsPreflightResponse"
    INVALID_ALLOW_HEADERS = "InvalidAllowHeadersPreflightResponse"
    METHOD_NOT_ALLOWED = "MethodDisallowedByPreflightResponse"
    HEADER_NOT_ALLOWED = "HeaderDisallowedByPreflightResponse"
    # redirects
    REDIRECT_WITH_CREDENTIALS = "RedirectContainsCredentials"
    CORS_DISABLED_SCHEME = "CorsDisabledScheme"
    INVALID_REDIRECT = "InvalidRedirect"
    UNSAFE_REDIRECT = "UnsafeRedirect"
    TOO_MANY_REDIRECTS = "TooManyRedirects"
    REDIRECT_FORBIDDEN = "RedirectForbidden"
    OPAQUE_REDIRECT = "OpaqueRedirect"
    # before anything is sent
    DISALLOWED_BY_MODE = "DisallowedByMode"
    FORBIDDEN_METHOD = "ForbiddenMethod"
    INVALID_METHOD = "InvalidMethod"
    INVALID_HEADER = "InvalidHeader"
    INVALID_URL = "InvalidUrl"
    URL_WITH_CREDENTIALS = "UrlContainsCredentials"
    BODY_NOT_ALLOWED = "BodyNotAllowed"
    UNSAFE_PORT = "UnsafePort"
    MIXED_CONTENT = "MixedContent"
    INSECURE_LOCAL_NETWORK = "InsecureLocalNetwork"
    INVALID_LOCAL_NETWORK_ACCESS = "InvalidLocalNetworkAccess"
    LOCAL_NETWORK_PERMISSION_DENIED = "LocalNetworkAccessPermissionDenied"
    # the response
    OPAQUE_RESPONSE = "OpaqueResponse"
    NO_RESPONSE = "NoResponse"
    INVALID_RESPONSE = "InvalidHttpResponse"
    PROXY_AUTHENTICATION = "UnexpectedProxyAuth"
    PASSWORD_PROMPT = "PasswordPrompt"  # noqa: S105 - a reason, not a password
    CORP_NOT_SAME_ORIGIN = "CorpNotSameOrigin"
    CORP_NOT_SAME_SITE = "CorpNotSameSite"
    CORP_NOT_SAME_ORIGIN_BY_COEP = "CorpNotSameOriginAfterDefaultedToSameOriginByCoep"
    BLOCKED_BY_ORB = "BlockedByOrb"
    WRONG_STATUS = "WrongStatus"
    WRONG_CONTENT_TYPE = "WrongContentType"
    WRONG_FORMAT = "WrongFormat"
    NOT_READABLE_BY_DESIGN = "NotReadableByDesign"
    # WebSocket
    HANDSHAKE_REFUSED = "HandshakeRefused"
    SUBPROTOCOL_MISMATCH = "SubprotocolMismatch"
    INVALID_SUBPROTOCOL = "InvalidSubprotocol"
    # nothing can be said
    UNDECIDED = "Undecided"

    @property
    def of_preflight(self) -> Reason:
        """The same reason when it is the preflight's response that failed the CORS check."""
        return _PREFLIGHT.get(self, self)


_PREFLIGHT = {
    Reason.MISSING_ALLOW_ORIGIN: Reason.PREFLIGHT_MISSING_ALLOW_ORIGIN,
    Reason.MULTIPLE_ALLOW_ORIGIN: Reason.PREFLIGHT_MULTIPLE_ALLOW_ORIGIN,
    Reason.INVALID_ALLOW_ORIGIN: Reason.PREFLIGHT_INVALID_ALLOW_ORIGIN,
    Reason.ALLOW_ORIGIN_MISMATCH: Reason.PREFLIGHT_ALLOW_ORIGIN_MISMATCH,
    Reason.WILDCARD_WITH_CREDENTIALS: Reason.PREFLIGHT_WILDCARD_WITH_CREDENTIALS,
    Reason.INVALID_ALLOW_CREDENTIALS: Reason.PREFLIGHT_INVALID_ALLOW_CREDENTIALS,
}
