"""TensorFlow Serving's REST API, as a Starlette application."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from dlrecipes.serving import examples, json_body
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import BODIES, Admission, Limits, check_rows, in_thread, read_body
from dlrecipes.serving.servable import Servable, Signature
from dlrecipes.serving.status import RequestError, of
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import PATH, Telemetry

# As TensorFlow Serving reads addresses: letters of either case, a version or a label.
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/(?:versions/(?P<version>\d+)|labels/(?P<label>[^/:]+)))?"
_RUN = re.compile(rf"{_MODEL}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_METADATA_PATH = re.compile(rf"{_MODEL}(?P<metadata>/metadata)?", re.IGNORECASE)
_ALL_MODELS = re.compile(r"/v1/models/?", re.IGNORECASE)
LARGEST_VERSION = 2**63


class Rest:
    """Answers requests.

    Args:
        store: The models.
        batcher: Runs them.
        telemetry: Is told of each request.
        limits: What is allowed.
    """

    def __init__(self, store: ModelStore, batcher: Batcher, telemetry: Telemetry, limits: Limits):
        self.store = store
        self.batcher = batcher
        self.telemetry = telemetry
        self.limits = limits
        self.admission = Admission(batcher.queue, BODIES * limits.body)

    def application(self, lifespan: Any = None) -> Router:
        """Returns the application."""
        # No routes: what is none of TensorFlow Serving's addresses gets its answer, too.
        return Router(default=self, lifespan=lifespan)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request of ASGI."""
        if scope["type"] == "http":
            response = await self.answer(Request(scope, receive))
            await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Answers one request; counts and logs it."""
        if request.method == "GET" and request.url.path == PATH:
            return Response(self.telemetry.page(), media_type="text/plain; version=0.0.4")
        began = time.perf_counter()
        told: dict[str, Any] = {}
        try:
            work = self._answer(request, told)
            body = await asyncio.wait_for(work, self.limits.seconds)
            status, http = "OK", 200
        except asyncio.TimeoutError:
            error = self.limits.too_long()
            body, status, http = _error(error), error.code, error.http
        except asyncio.CancelledError:
            # The server's patience with what has begun is at its end.
            error = RequestError("The server is stopping.", "UNAVAILABLE")
            body, status, http = _error(error), error.code, error.http
        except Exception as raised:
            error = of(raised)
            body, status, http = _error(error), error.code, error.http
        model = told.get("model", "")
        self.telemetry.record(
            # Names that no model has would fill the memory with counts.
            model if model in self.store.models else "",
            told.get("method", "other"),
            status,
            time.perf_counter() - began,
            http=http,
            path=request.url.path[:200],
            version=told.get("version"),
            signature=told.get("signature"),
            examples=told.get("examples"),
        )
        return Response(body, http, media_type="application/json")

    async def _answer(self, request: Request, told: dict[str, Any]) -> bytes:
        path = request.scope["path"]
        if request.method == "POST" and (found := _RUN.fullmatch(path)):
            told.update(model=found["name"], method=found["method"].lower())
            with self.admission.request() as reserve:
                # TensorFlow Serving reads bodies of any type.
                body = await read_body(request, self.limits, reserve)
                return await self._run(found, body, told)
        if request.method == "GET" and (found := _METADATA_PATH.fullmatch(path)):
            told.update(model=found["name"], method="metadata" if found["metadata"] else "status")
            return self._tell(found)
        if request.method == "GET" and _ALL_MODELS.fullmatch(path):
            raise RequestError("Missing model name in request.")
        raise RequestError(f"Malformed request: {request.method} {path}")

    def _tell(self, found: re.Match) -> bytes:
        name, number, label = found["name"], _version(found), found["label"]
        if not found["metadata"]:
            return _json({"model_version_status": self.store.status(name, number, label)})
        with self.store.using(name, number, label) as servable:
            spec = {"name": name, "signature_name": "", "version": str(servable.version)}
            return _json({"model_spec": spec, "metadata": servable.metadata()})

    async def _run(self, found: re.Match, body: bytes, told: dict[str, Any]) -> bytes:
        with self.store.using(found["name"], _version(found), found["label"]) as servable:
            told["version"] = servable.version
            if told["method"] == "predict":
                return await self._predict(servable, body, told)
            return await self._examples(servable, body, told)

    async def _predict(self, servable: Servable, body: bytes, told: dict[str, Any]) -> bytes:
        def read() -> tuple[Signature, dict[str, np.ndarray], bool]:
            parsed = json_body.parse(body)
            signature = servable.signature(json_body.signature_name(parsed))
            # First, for what is made of them is larger by far.
            check_rows(json_body.rows(parsed), self.limits)
            arrays, rows = json_body.inputs(parsed, signature.inputs)
            signature.check(arrays)
            return signature, arrays, rows

        signature, arrays, rows = await in_thread(read, len(body))
        outputs = await self._outputs(servable, signature, arrays, told)
        size = sum(array.nbytes for array in outputs.values())
        return await in_thread(lambda: json_body.answer(outputs, rows), size)

    async def _examples(self, servable: Servable, body: bytes, told: dict[str, Any]) -> bytes:
        method = told["method"]

        def read() -> tuple[Signature, dict[str, np.ndarray]]:
            parsed = json_body.parse(body)
            signature = servable.signature(json_body.signature_name(parsed))
            examples.check_method(signature, method)
            found = examples.serialized(parsed, method, self.limits)
            arrays = {next(iter(signature.inputs)): found}
            signature.check(arrays)
            return signature, arrays

        signature, arrays = await in_thread(read, len(body))
        ((_, rows),) = arrays.items()
        outputs = await self._outputs(servable, signature, arrays, told)
        return _json({"results": examples.results(outputs, method, len(rows))})

    async def _outputs(
        self,
        servable: Servable,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        told: dict[str, Any],
    ) -> dict[str, np.ndarray]:
        first = next(iter(arrays.values()), None)
        counted = first is not None and first.ndim
        told.update(signature=signature.name, examples=len(first) if counted else 1)
        return await self.batcher.run(servable, signature, arrays)


def _version(found: re.Match) -> int | None:
    if found["version"] is None:
        return None
    # So many digits are no number of 64 bits.
    if len(found["version"]) > 19 or int(found["version"]) >= LARGEST_VERSION:
        raise RequestError(f"Failed to convert version: {found['version'][:40]} to numeric.")
    return int(found["version"])


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _error(error: RequestError) -> bytes:
    return json.dumps({"error": error.message}).encode()
