"""Request errors: gRPC status codes, and the HTTP status of each."""

from __future__ import annotations

from dlrecipes.errors import reason

# HTTP statuses as TensorFlow Serving maps them.
HTTP = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# gRPC codes by number; TensorFlow's errors carry the number.
CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
LONGEST = 2000


class RequestError(Exception):
    """An error that is returned to the client.

    Args:
        message: Message for the client; cut at `LONGEST` characters.
        code: gRPC status code by name. Defaults to `"INVALID_ARGUMENT"`.
        http: HTTP status. Defaults to the status of `code`.
    """

    def __init__(self, message: str, code: str = "INVALID_ARGUMENT", http: int | None = None):
        super().__init__(message)
        self.message = message[:LONGEST]
        self.code = code
        self.http = HTTP[code] if http is None else http


def too_many(count: int) -> RequestError:
    """Returns the error for a request that arrives while `count` others are pending."""
    return RequestError(
        f"There are {count} requests waiting already; try again later.", "RESOURCE_EXHAUSTED"
    )


def to_request_error(error: Exception) -> RequestError:
    """Returns the request error for an exception that a model raised."""
    if isinstance(error, RequestError):
        return error
    code = getattr(error, "error_code", None)
    if isinstance(code, int) and 0 < code < len(CODES):
        return RequestError(reason(error), CODES[code])
    return RequestError(f"{type(error).__name__}: {reason(error)}", "INTERNAL")
