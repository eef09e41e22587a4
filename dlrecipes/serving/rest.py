"""TensorFlow Serving's REST API, as a Starlette application."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Router

from dlrecipes.serving import examples, features, json_body, json_output
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import BODIES, Admission, Limits, in_thread, read_body
from dlrecipes.serving.model_list import EXAMPLES, ModelList
from dlrecipes.serving.parsers import Parsers
from dlrecipes.serving.responses import JsonResponse, Writer
from dlrecipes.serving.security import LIVENESS, READINESS
from dlrecipes.serving.servable import DEFAULT, Servable, Signature
from dlrecipes.serving.status import RequestError, to_request_error
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import PATH, Telemetry

# As in TensorFlow Serving, paths are case-insensitive and may contain a version or a label.
_MODEL = (
    r"/v1/models/(?P<name>[^/:]+)(?:/(?:versions/(?P<version>[0-9]+)|labels/(?P<label>[^/:]+)))?"
)
_RUN = re.compile(rf"{_MODEL}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_METADATA_PATH = re.compile(rf"{_MODEL}(?P<metadata>/metadata)?", re.IGNORECASE)
_ALL_MODELS = re.compile(r"/v1/models/?", re.IGNORECASE)
LARGEST_VERSION = 2**63


class Rest:
    """Answers REST requests as an ASGI application.

    Args:
        store: Models to serve.
        batcher: Batcher that runs their signatures.
        telemetry: Recorder of each request.
        limits: Limits on a request.
        admission: Bounds of requests and bodies. Defaults to bounds from the batcher's queue.
        stopping: Event that is set when the server stops. Defaults to a new event.
        needs_key: Whether requests have to send a key. Defaults to `False`.
    """

    def __init__(
        self,
        store: ModelStore,
        batcher: Batcher,
        telemetry: Telemetry,
        limits: Limits,
        admission: Admission | None = None,
        stopping: threading.Event | None = None,
        needs_key: bool = False,
    ):
        self.store = store
        self.batcher = batcher
        self.telemetry = telemetry
        self.limits = limits
        self.admission = admission or Admission(batcher.queue, BODIES * limits.body)
        self.stopping = stopping or threading.Event()
        self.models = ModelList(store, self._try, needs_key)
        self.parsers = Parsers()
        self.writer = Writer(limits)

    def close(self) -> None:
        """Stops parsing and writing, without waiting for requests in progress."""
        self.parsers.close()
        self.writer.close()

    def application(self, lifespan: Any = None) -> Router:
        """Returns a Starlette router that passes every request to this object.

        Args:
            lifespan: Lifespan context of the application. Defaults to none.
        """
        # Routes would answer unknown paths themselves, and not in JSON.
        return Router(default=self, lifespan=lifespan)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one ASGI request."""
        if scope["type"] == "http":
            with self.writer.response():
                response = await self.answer(Request(scope, receive))
                await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Answers one request, and records it."""
        path = request.scope["path"]
        if request.method in ("GET", "HEAD") and path in (PATH, LIVENESS, READINESS):
            return self._probe(path)
        began = time.perf_counter()
        details: dict[str, Any] = {}
        body: bytes | Response
        try:
            body = await self._answer(request, details)
            status, http = "OK", 200
        except asyncio.TimeoutError:
            error = self.limits.too_long()
            body, status, http = _error(error), error.code, error.http
        except asyncio.CancelledError:
            # The server is shutting down and no longer waits for requests in progress.
            error = RequestError("The server is stopping.", "UNAVAILABLE")
            body, status, http = _error(error), error.code, error.http
        except Exception as raised:
            error = to_request_error(raised)
            body, status, http = _error(error), error.code, error.http
        model = details.get("model", "")
        self.telemetry.record(
            # Counters for arbitrary names would use an unbounded amount of memory.
            model if model in self.store.models else "",
            details.get("method", "other"),
            status,
            time.perf_counter() - began,
            http=http,
            path=request.url.path[:200],
            version=details.get("version"),
            signature=details.get("signature"),
            examples=details.get("examples"),
        )
        if isinstance(body, Response):
            return body
        response = JsonResponse(body, http, self.limits.seconds)
        if http == 408:
            # The rest of a body that arrives too slowly is not awaited.
            response.headers["Connection"] = "close"
        return response

    def _probe(self, path: str) -> Response:
        """Returns the metrics, or the answer to a probe, which are not recorded."""
        if path == PATH:
            return Response(self.telemetry.page(), media_type="text/plain; version=0.0.4")
        status = "ok"
        if path == READINESS and self.stopping.is_set():
            status = "the server is stopping"
        elif path == READINESS and not self.store.latest():
            status = "no model is served"
        return JSONResponse({"status": status}, 200 if status == "ok" else 503)

    async def _answer(self, request: Request, details: dict[str, Any]) -> bytes | Response:
        """Returns the body of the response, and adds fields of the log line to `details`."""
        path = request.scope["path"]
        if request.method == "POST" and (match := _RUN.fullmatch(path)):
            details.update(model=match["name"], method=match["method"].lower())
            with self.admission.body(self.limits) as arrival:
                # As in TensorFlow Serving, the Content-Type header is ignored.
                body = await read_body(request, self.limits, arrival)
                with self.admission.request():
                    work = self._run(match, body, details)
                    return await asyncio.wait_for(work, self.limits.seconds)
        if request.method == "GET" and (match := _METADATA_PATH.fullmatch(path)):
            method = "metadata" if match["metadata"] else "status"
            details.update(model=match["name"], method=method)
            return self._describe(match)
        if request.method == "GET" and _ALL_MODELS.fullmatch(path):
            raise RequestError("Missing model name in request.")
        if request.method in ("GET", "HEAD") and path == "/":
            details["method"] = "list"
            return await self.models.page(request)
        if request.method == "GET" and path.startswith(EXAMPLES):
            details["method"] = "example"
            return await self.models.example(path.removeprefix(EXAMPLES))
        raise RequestError(f"Malformed request: {request.method} {path}")

    async def _try(self, servable: Servable, body: bytes) -> bytes:
        """Returns the answer to a prediction that no client sent."""
        details = {"method": "predict"}
        return await asyncio.wait_for(self._predict(servable, body, details), self.limits.seconds)

    def _describe(self, match: re.Match) -> bytes:
        name, number, label = match["name"], _version(match), match["label"]
        if not match["metadata"]:
            return _json({"model_version_status": self.store.status(name, number, label)})
        with self.store.using(name, number, label) as servable:
            spec = {"name": name, "signature_name": "", "version": str(servable.version)}
            return _json({"model_spec": spec, "metadata": servable.metadata()})

    async def _run(self, match: re.Match, body: bytes, details: dict[str, Any]) -> bytes:
        with self.store.using(match["name"], _version(match), match["label"]) as servable:
            details["version"] = servable.version
            if details["method"] == "predict":
                return await self._predict(servable, body, details)
            return await self._run_examples(servable, body, details)

    async def _predict(self, servable: Servable, body: bytes, details: dict[str, Any]) -> bytes:
        name, arrays, rows = await self.parsers.parse(
            json_body.read, body, _dtypes(servable), self.limits
        )
        signature = servable.signature(name)
        outputs = await self._outputs(servable, signature, arrays, details)
        return await self.writer.write(outputs, lambda: json_output.pieces(outputs, rows))

    async def _run_examples(
        self, servable: Servable, body: bytes, details: dict[str, Any]
    ) -> bytes:
        method = details["method"]
        parsed = await self.parsers.parse(features.read, body, method, self.limits)
        name, context, rows = parsed
        signature = servable.signature(name)
        examples.check_method(signature, method)
        protos = await in_thread(lambda: examples.serialize(context, rows, self.limits), len(body))
        arrays = {next(iter(signature.inputs)): protos}
        outputs = await self._outputs(servable, signature, arrays, details)
        outputs = examples.used(outputs, method)
        return await self.writer.write(
            outputs, lambda: json_output.result_pieces(examples.parts(outputs, method, len(protos)))
        )

    async def _outputs(
        self,
        servable: Servable,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        details: dict[str, Any],
    ) -> dict[str, np.ndarray]:
        first = next(iter(arrays.values()), None)
        examples = len(first) if first is not None and first.ndim else 1
        details.update(signature=signature.name, examples=examples)
        return await self.batcher.run(servable, signature, arrays)


def _dtypes(servable: Servable) -> dict[str, dict[str, str]]:
    """Returns the name of each input's data type by signature; "" is the default signature."""
    dtypes = {
        name: {key: spec.dtype.name for key, spec in signature.inputs.items()}
        for name, signature in servable.signatures.items()
    }
    return {**dtypes, "": dtypes[DEFAULT]} if DEFAULT in dtypes else dtypes


def _version(match: re.Match) -> int | None:
    digits = match["version"]
    if digits is None:
        return None
    # A number of more than 19 digits does not fit into 64 bits.
    if len(digits) > 19 or int(digits) >= LARGEST_VERSION:
        raise RequestError(f"Failed to convert version: {digits[:40]} to numeric.")
    return int(digits)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _error(error: RequestError) -> bytes:
    return json.dumps({"error": error.message}).encode()
