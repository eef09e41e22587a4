"""What went wrong with a request, by the codes of gRPC and the HTTP statuses of each."""

from __future__ import annotations

from dlrecipes.errors import reason

# TensorFlow Serving's mapping of its errors to HTTP.
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
# By number, as TensorFlow's errors have them.
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
    """A request that gets no answer but a reason.

    Args:
        message: The reason.
        code: A code of gRPC.
        http: The HTTP status, where it is not the code's own.
    """

    def __init__(self, message: str, code: str = "INVALID_ARGUMENT", http: int | None = None):
        super().__init__(message)
        self.message = message[:LONGEST]
        self.code = code
        self.http = HTTP[code] if http is None else http


def too_many(count: int) -> RequestError:
    """Returns the error of a request that finds so many before it."""
    return RequestError(
        f"There are {count} requests waiting already; try again later.", "RESOURCE_EXHAUSTED"
    )


def of(error: Exception) -> RequestError:
    """Returns the request's error for one that running a model raised."""
    if isinstance(error, RequestError):
        return error
    code = getattr(error, "error_code", None)
    if isinstance(code, int) and 0 < code < len(CODES):
        return RequestError(reason(error), CODES[code])
    return RequestError(f"{type(error).__name__}: {reason(error)}", "INTERNAL")
