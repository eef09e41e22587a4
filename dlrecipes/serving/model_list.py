"""The page at `/`: the served models, each with a request to copy."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from dlrecipes._utils.terminal import escape_control_characters
from dlrecipes.export.version_folders import version_folders
from dlrecipes.serving.example_requests import example_request
from dlrecipes.serving.model_page import PAGE_HEADERS, describe, page
from dlrecipes.serving.security import host_name
from dlrecipes.serving.servable import Servable
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore

# Longer bodies are not part of the command: it fetches them from the server.
LONGEST_INLINE = 300
EXAMPLES = "/examples/"


class ModelList:
    """Lists the served models.

    Args:
        store: Models that are served.
        predict: Function that answers a `:predict` request of a version, from the body.
        needs_key: Whether requests have to send a key. Defaults to `False`.
    """

    def __init__(
        self,
        store: ModelStore,
        predict: Callable[[Servable, bytes], Awaitable[Any]],
        needs_key: bool = False,
    ):
        self.store, self.predict, self.needs_key = store, predict, needs_key
        # Requests by model, each with the version that it was made for.
        self._bodies: dict[str, tuple[weakref.ref[Servable], bytes | None]] = {}
        # One example is made at a time, so that the page cannot fill the queue.
        self._lock = asyncio.Lock()

    async def page(self, request: Request) -> Response:
        """Returns the list as HTML, JSON or text, as the client prefers.

        Args:
            request: Request for `/`.
        """
        served = self.store.latest()
        self._bodies = {name: kept for name, kept in self._bodies.items() if name in served}
        entries = [await self._entry(_base(request), *model) for model in served.items()]
        accepted = request.headers.get("accept", "")
        if "text/html" in accepted:
            content = page(entries, [describe(self.store, entry["name"]) for entry in entries])
            return HTMLResponse(content, headers={"Vary": "Accept", **PAGE_HEADERS})
        if "application/json" in accepted:
            return JSONResponse({"models": entries}, headers={"Vary": "Accept"})
        return PlainTextResponse(_text(entries), headers={"Vary": "Accept"})

    async def example(self, name: str) -> bytes:
        """Returns the body of a request that the latest version of a model answers.

        Args:
            name: Name of the model.

        Raises:
            RequestError: If there is no such model, or no such request.
        """
        with self.store.using(name) as servable:
            async with self._lock:
                made_for, body = self._bodies.get(name, (lambda: None, None))
                if made_for() is not servable:
                    body = await self._make(servable)
                    self._bodies[name] = weakref.ref(servable), body
        if body is None:
            raise RequestError(f"No example is known for {name}.", "NOT_FOUND")
        return body

    async def _make(self, servable: Servable) -> bytes | None:
        async def works(body: bytes) -> bool:
            try:
                await self.predict(servable, body)
            except Exception:
                return False
            return True

        folders = version_folders(self.store.folder / servable.name)
        folder = folders.get(servable.version, self.store.folder / servable.name)
        return await example_request(servable, folder, works)

    async def _entry(self, base: str, name: str, version: int) -> dict[str, Any]:
        metadata = f"{base}/v1/models/{quote(name, safe='')}/metadata"
        curl = await self.command(base, name)
        return {"name": name, "version": str(version), "metadata": metadata, "curl": curl}

    async def command(self, base: str, name: str) -> str:
        """Returns a shell command that sends an example to a model, or else asks for signatures.

        Args:
            base: Address of the server.
            name: Name of the model.
        """
        model = f"{base}/v1/models/{quote(name, safe='')}"
        key = ' -H "Authorization: Bearer $API_KEY"' if self.needs_key else ""
        try:
            body = await self.example(name)
        except RequestError:
            return f"curl{key} {_quoted(f'{model}/metadata')}"
        text = body.decode().replace("'", "\\u0027")
        predict = _quoted(f"{model}:predict")
        if len(text) <= LONGEST_INLINE and text.isprintable():
            return f"curl{key} -d '{text}' {predict}"
        example = _quoted(f"{base}{EXAMPLES}{quote(name, safe='')}")
        return f"curl -s{key} {example} | curl{key} -d @- {predict}"

    async def commands(self, base: str, count: int) -> list[str]:
        """Returns `command` for the first models.

        Args:
            base: Address of the server.
            count: Largest number of models.
        """
        return [await self.command(base, name) for name in [*self.store.latest()][:count]]


def _base(request: Request) -> str:
    """Returns the address of the server as the client reached it."""
    host = request.headers.get("host", "")
    if host_name(host) is None:
        name, port = request.scope.get("server") or ("localhost", None)
        host = f"[{name}]:{port}" if ":" in str(name) else f"{name}:{port}"
    return f"{request.scope['scheme']}://{host}"


def _quoted(address: str) -> str:
    """Returns an address for a shell, and for curl, which expands square brackets."""
    return f"-g '{address}'" if "[" in address else f"'{address}'" if "%" in address else address


def _text(entries: list[dict[str, Any]]) -> str:
    if not entries:
        return "No models are served yet.\n"
    parts = []
    for entry in entries:
        name = escape_control_characters(entry["name"])
        parts.append(f"{name}, version {entry['version']}\n  {entry['curl']}\n")
    return "".join(parts)
