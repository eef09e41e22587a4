"""Who may send requests: hosts, web pages and keys, and the certificate of the server."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dlrecipes.errors import UsageError, reason
from dlrecipes.serving.status import RequestError

# Addresses for probes: they need no key, and any host may be used.
LIVENESS, READINESS = "/healthz", "/readyz"
OPEN = frozenset((LIVENESS, READINESS))
# Names of this machine, which no other page's domain can have.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST_KEY = 4096
_HOST = re.compile(r"(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Args:
        hosts: Values of the `Host` header that are accepted, without ports; `*.example.com`
            stands for all subdomains. `None` accepts any. Defaults to `None`.
        origins: Web pages of other origins that may use the server, such as
            `https://app.example.com`; `*` stands for all. Defaults to none.
        key: Key that requests have to send, or `None`. Defaults to `None`.
    """

    hosts: Collection[str] | None = None
    origins: Collection[str] = ()
    key: str | None = None

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Refuses a request that may not be answered.

        Args:
            method: HTTP method.
            path: Path of the request.
            headers: Headers of the request.

        Raises:
            RequestError: With status 400, 401 or 403.
        """
        if path in OPEN:
            return
        self._check_host(headers.getlist("host"))
        if method not in ("GET", "HEAD", "OPTIONS"):
            self._check_origin(headers)
        if self.key is not None and not self.accepts(headers.get("authorization", "")):
            raise RequestError(
                "Missing or wrong key: send Authorization: Bearer KEY.", "UNAUTHENTICATED"
            )

    def accepts(self, authorization: str) -> bool:
        """Returns whether the value of an `Authorization` header has the key."""
        kind, _, sent = authorization.partition(" ")
        # The time of the comparison does not depend on the position of the first difference.
        same = hmac.compare_digest(sent.strip().encode(), (self.key or "").encode())
        return self.key is None or (kind.lower() == "bearer" and same)

    def _check_host(self, values: list[str]) -> None:
        if self.hosts is None or not values:
            return
        name = host_name(values[0])
        if len(values) > 1 or name is None:
            raise RequestError("The Host header is invalid.")
        if not any(_matches(name, pattern) for pattern in self.hosts):
            raise RequestError(
                f"Host {name[:200]} is not allowed here; --allowed-hosts {name[:200]} allows it.",
                "PERMISSION_DENIED",
            )

    def _check_origin(self, headers: Headers) -> None:
        """Refuses requests of a foreign page, which a browser sends without asking."""
        origin = headers.get("origin")
        if origin is None or "*" in self.origins or origin in self.origins:
            return
        scheme, _, address = origin.partition("://")
        port = {"http": 80, "https": 443}.get(scheme)
        own = _address(headers.get("host", ""), port)
        # A page that this server sent; a proxy in front of it may have changed the scheme.
        if port is not None and own is not None and _address(address, port) == own:
            return
        raise RequestError(
            f"Pages of {origin[:200]} may not use this server; --cors ORIGIN allows them.",
            "PERMISSION_DENIED",
        )


class Guard:
    """Refuses requests that may not be answered, before their body is read.

    Args:
        app: Application that answers the others.
        access: Who may use the server.
        refused: Function that records a refused request, from its method, path and error.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        refused: Callable[[str, str, RequestError], None] = lambda method, path, error: None,
    ):
        self.app, self.access, self.refused = app, access, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one ASGI request."""
        if scope["type"] == "http":
            try:
                self.access.check(scope["method"], scope["path"], Headers(scope=scope))
            except RequestError as error:
                self.refused(scope["method"], scope["path"], error)
                headers = {"WWW-Authenticate": "Bearer"} if error.http == 401 else {}
                body = {"error": error.message}
                await JSONResponse(body, error.http, headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def protect(app: ASGIApp, access: Access, refused: Callable[..., None]) -> ASGIApp:
    """Returns an application that answers only those that have access.

    Args:
        app: Application to protect.
        access: Who may use it.
        refused: Function that records a refused request, from its method, path and error.
    """
    guarded: ASGIApp = Guard(app, access, refused)
    if not access.origins:
        return guarded
    return CORSMiddleware(
        guarded,
        allow_origins=list(access.origins),
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Encoding", "Content-Type"],
    )


def allowed_hosts(host: str, given: Iterable[str]) -> tuple[str, ...] | None:
    """Returns the hosts to accept, or `None` if any host is.

    Without `given`, only a server on a loopback address checks hosts: pages of other domains
    that resolve to this machine (DNS rebinding) are refused.

    Args:
        host: Address that the server listens on.
        given: Values of `--allowed-hosts`, each with one name or several, separated by commas.

    Raises:
        UsageError: If a value is not a host name.
    """
    names = [name.strip() for value in given for name in value.split(",")]
    for name in names:
        if name != "*" and not _is_host(name):
            raise UsageError(
                f"--allowed-hosts {name!r}: expected a host name without scheme and port.",
                "Examples: --allowed-hosts api.example.com --allowed-hosts '*.example.com'",
            )
    if "*" in names or not (names or is_loopback(host)):
        return None
    # Browsers reach the machine itself at the address for all, so that it is not a name of it.
    own = [] if host in ("0.0.0.0", "::") else [host]
    return tuple(dict.fromkeys([*LOOPBACK, *map(_plain, [*own, *names])]))


def origins(given: Iterable[str]) -> tuple[str, ...]:
    """Returns the values of `--cors`, checked.

    Args:
        given: Values, each with one origin.

    Raises:
        UsageError: If a value is not an origin.
    """
    for value in given:
        parts = urlsplit(value)
        plain = f"{parts.scheme}://{parts.netloc}" == value and host_name(parts.netloc)
        if value != "*" and not (plain and parts.scheme in ("http", "https")):
            raise UsageError(
                f"--cors {value!r}: expected an origin, which is a scheme, a host and a port.",
                "Examples: --cors https://app.example.com --cors http://localhost:3000",
            )
    return tuple(value.lower() for value in given)


def read_key(path: Path) -> str:
    """Returns the key in a file.

    Args:
        path: File with one line.

    Raises:
        UsageError: If the file cannot be read or does not contain one key.
    """
    hint = "Make one: openssl rand -hex 32 > KEY_FILE"
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_KEY + 1)
    except OSError as error:
        raise UsageError(f"--api-key-file {path}: {reason(error)}.", hint) from None
    key = content.decode("latin-1").rstrip("\r\n")
    if not key:
        raise UsageError(f"--api-key-file {path}: the file is empty.", hint)
    if len(content) > LARGEST_KEY or not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"--api-key-file {path}: expected one line of letters, digits and signs without "
            "spaces.",
            hint,
        )
    return key


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Returns the TLS settings of the server, at least TLS 1.2; `None` without a certificate.

    Args:
        certificate: PEM file with the certificate, followed by those that sign it.
        key: PEM file with the private key, which has no passphrase.

    Raises:
        UsageError: If only one file is given, or one cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = ("--key", "--certificate")[:: 1 if certificate is None else -1]
        raise UsageError(
            f"{given} needs {missing} as well.", "Example: --certificate cert.pem --key key.pem"
        )
    for option, path in (("--certificate", certificate), ("--key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise UsageError(f"{option} {path}: {reason(error)}.") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(
            f"--certificate {certificate} --key {key}: {_tls_problem(error)}.",
            "Both are PEM files; the key belongs to the first certificate and has no passphrase.",
        ) from None
    return context


def is_loopback(host: str) -> bool:
    """Returns whether an address to listen on can be reached from this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        # Names, and short forms such as 127.1, stand for the addresses that they resolve to.
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
        addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
    except (OSError, ValueError):
        return False
    return all((getattr(a, "ipv4_mapped", None) or a).is_loopback for a in addresses)


def host_name(value: str) -> str | None:
    """Returns the name in a `Host` header in lower case, or `None` if the header is invalid."""
    match = _HOST.fullmatch(value.strip())
    return None if match is None else _plain(match["name"])


def _plain(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _is_host(name: str) -> bool:
    if _NAME.fullmatch(name):
        return True
    try:
        ipaddress.ip_address(_plain(name))
    except ValueError:
        return False
    return True


def _address(value: str, port: int | None) -> tuple[str, int | None] | None:
    """Returns host and port of a `Host` header or of the end of an origin."""
    name = host_name(value)
    if name is None:
        return None
    digits = re.search(r":(\d+)$", value.strip())
    return name, int(digits[1]) if digits else port


def _refuse_passphrase() -> str:
    # Without this OpenSSL asks for it on the terminal.
    raise ValueError("the key has a passphrase")


def _tls_problem(error: Exception) -> str:
    texts: Mapping[str, str] = {
        "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
        "NO_START_LINE": "not a PEM file",
    }
    code = getattr(error, "reason", None) or ""
    if code in texts:
        return texts[code]
    if isinstance(error, ssl.SSLError):
        return f"not a certificate with its key ({code.replace('_', ' ').lower() or 'PEM'})"
    return str(error)


def notes(host: str, access: Access, encrypted: bool) -> list[Any]:
    """Returns notes on who can use a server on this address.

    Args:
        host: Address that the server listens on.
        access: Who may use it.
        encrypted: Whether the server has a certificate.
    """
    if is_loopback(host):
        return []
    if access.key is None:
        return [
            f"{host} can be reached by other machines, and everyone who reaches it can use the "
            "models; --api-key-file restricts that."
        ]
    if not encrypted:
        return ["the key is sent unencrypted; --certificate and --key encrypt it."]
    return []
