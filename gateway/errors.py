"""All errors that the gateway shows to its callers, each with a stable code and an HTTP status.

    GatewayError
    ├── BadRequest              400  the body doesn't match its content type
    ├── Unauthorized            401  a key is needed: it is missing or invalid
    ├── Forbidden               403  the key is valid, but has the wrong role
    ├── NotFound                404  the trace, session or route is unknown
    ├── MethodNotAllowed        405
    ├── RequestTimeout          408  the request didn't arrive in time
    ├── Conflict                409
    ├── ContentTooLarge         413
    ├── UnsupportedMediaType    415
    ├── InvalidValue            422  the fields are in `details`
    ├── TooManyRequests         429
    ├── Unavailable             503  the server is shutting down, or too busy
    │   └── StoreUnavailable    503  the store can't write: nothing was recorded
    └── ProviderError           502  the provider failed
        ├── ProviderTimeout      504
        ├── ProviderBusy         429  the provider's own rate limit
        ├── ProviderQuota        429  the provider's quota is used up: waiting doesn't help
        ├── ProviderUnavailable  503  the provider said when to come again
        ├── ProviderRefused      400, 402, 404, 413 or 422: the provider's status
        └── AnswerTooLong        502  more than max_answer_bytes

Each wire writes them in its own format. Nothing else chooses a status.
"""

from __future__ import annotations

from collections.abc import Sequence

Words = tuple[str | None, str | None, str | None]  # code, type and param of a provider's own error


class GatewayError(Exception):
    """The base class. `message` is one short sentence for people, without secrets, SQL or a provider's address."""

    status = 500
    code = "internal_error"
    retryable = False
    said: Words | None = None  # for the wire that passes them on

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        details: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.retry_after = retry_after  # seconds
        self.details = tuple(details)  # (field, problem) pairs


class BadRequest(GatewayError):
    status, code = 400, "bad_request"


class Unauthorized(GatewayError):
    status, code = 401, "unauthorized"


class Forbidden(GatewayError):
    status, code = 403, "forbidden"


class NotFound(GatewayError):
    status, code = 404, "not_found"


class MethodNotAllowed(GatewayError):
    status, code = 405, "method_not_allowed"


class RequestTimeout(GatewayError):
    status, code, retryable = 408, "request_timeout", True


class Conflict(GatewayError):
    status, code = 409, "conflict"


class ContentTooLarge(GatewayError):
    status, code = 413, "too_large"


class UnsupportedMediaType(GatewayError):
    status, code = 415, "unsupported_type"


class InvalidValue(GatewayError):
    status, code = 422, "invalid_value"


class TooManyRequests(GatewayError):
    status, code, retryable = 429, "rate_limited", True


class Unavailable(GatewayError):
    status, code, retryable = 503, "server_shutdown", True


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class ProviderError(GatewayError):
    """A failure of the provider. `upstream_status` is its HTTP status, if it sent one.

    `cause` is why it couldn't be reached, for the log and the trace; `request_id` is its own, for its support.
    """

    status, code, retryable = 502, "upstream_error", True
    upstream_status: int | None = None
    cause: str | None = None
    request_id: str | None = None


class ProviderTimeout(ProviderError):
    status, code = 504, "upstream_timeout"


class ProviderBusy(ProviderError):
    status, code = 429, "upstream_rate_limited"


class ProviderQuota(ProviderError):
    status, code, retryable = 429, "upstream_quota_exceeded", False


class ProviderUnavailable(ProviderError):
    status, code = 503, "upstream_unavailable"


class ProviderRefused(ProviderError):
    code, retryable = "upstream_refused", False

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class AnswerTooLong(ProviderError):
    code, retryable = "answer_too_long", False
