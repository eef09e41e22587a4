"""TensorFlow Serving's gRPC services, for its own clients (`pip install dlrecipes[grpc]`)."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from dlrecipes.serving import examples
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import BODIES, Admission, Limits, check_output, check_rows, in_thread
from dlrecipes.serving.servable import DEFAULT, Servable, Signature
from dlrecipes.serving.status import RequestError, to_request_error
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry
from dlrecipes.serving.tensor_protos import from_proto, to_proto
from dlrecipes.serving.tensors import size_of

METADATA = "signature_def"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_RESPONSES = {
    "classify": classification_pb2.ClassificationResponse,
    "regress": regression_pb2.RegressionResponse,
}


class Rpc(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Answers gRPC requests.

    Args:
        store: Models to serve.
        batcher: Batcher that runs their signatures.
        telemetry: Recorder of each request.
        limits: Limits on a request.
        admission: Bounds of requests and bodies. Defaults to bounds from the batcher's queue.
    """

    def __init__(
        self,
        store: ModelStore,
        batcher: Batcher,
        telemetry: Telemetry,
        limits: Limits,
        admission: Admission | None = None,
    ):
        self.store = store
        self.batcher = batcher
        self.telemetry = telemetry
        self.limits = limits
        self.admission = admission or Admission(batcher.queue, BODIES * limits.body)

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns the outputs of a signature."""

        async def work(servable: Servable) -> predict_pb2.PredictResponse:
            name = request.model_spec.signature_name or DEFAULT
            if name not in servable.signatures:
                raise RequestError(
                    f'Serving signature key "{name}" not found.', "FAILED_PRECONDITION"
                )
            signature = servable.signatures[name]
            signature.check_names(request.inputs)
            names = _output_names(request.output_filter, signature)

            def read() -> dict[str, np.ndarray]:
                return {
                    name: self._array(name, request.inputs[name], spec)
                    for name, spec in signature.inputs.items()
                }

            arrays = await in_thread(read, request.ByteSize())
            outputs = await self.batcher.run(servable, signature, arrays)
            check_output(size_of({name: outputs[name] for name in names}), self.limits)
            response = predict_pb2.PredictResponse()
            _describe(response.model_spec, servable, signature.name)

            def write() -> predict_pb2.PredictResponse:
                for name in names:
                    response.outputs[name].CopyFrom(to_proto(outputs[name]))
                return response

            return await in_thread(write, sum(outputs[name].nbytes for name in names))

        return await self._answer("predict", request, context, work)

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns the classes and scores of examples."""
        return await self._run_examples("classify", request, context)

    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns the values of examples."""
        return await self._run_examples("regress", request, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns the results of several signatures of one model for the same examples."""
        specs = [task.model_spec for task in request.tasks]

        async def work(servable: Servable) -> inference_pb2.MultiInferenceResponse:
            methods = _methods(request.tasks)
            signatures = [servable.signature(spec.signature_name) for spec in specs]
            for signature, method in zip(signatures, methods, strict=True):
                examples.check_method(signature, method)
            protos = await in_thread(lambda: self._serialize(request.input), request.ByteSize())
            tasks = list(zip(signatures, methods, strict=True))
            runs = await asyncio.gather(*(self._outputs(servable, *t, protos) for t in tasks))
            size = sum(map(size_of, runs))
            check_output(size, self.limits)
            response = inference_pb2.MultiInferenceResponse()

            def write() -> inference_pb2.MultiInferenceResponse:
                for (signature, method), outputs in zip(tasks, runs, strict=True):
                    result = response.results.add()
                    _describe(result.model_spec, servable, signature.name)
                    target = getattr(result, f"{examples.KINDS[method]}_result")
                    _fill(method, outputs, len(protos), target)
                return response

            return await in_thread(write, size)

        spec = specs[0] if specs else model_pb2.ModelSpec()
        return await self._answer("multi_inference", request, context, work, spec)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns a model's signatures."""

        async def work(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
            for field in request.metadata_field:
                if field != METADATA:
                    raise RequestError(f"Metadata field {field} is not supported")
            if not request.metadata_field:
                raise RequestError("GetModelMetadataRequest must specify at least one field")
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            _describe(response.model_spec, servable, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            response.metadata[METADATA].Pack(signatures)
            return response

        return await self._answer("metadata", request, context, work)

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Returns the states of a model's versions."""
        began, spec = time.perf_counter(), request.model_spec
        try:
            _check_name(spec)
            versions = self.store.status(spec.name, *_version_choice(spec))
        except RequestError as error:
            await self._refuse("status", spec.name, context, error, began)
        response = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for version in versions:
            entry = response.model_version_status.add(
                version=int(version["version"]), state=states.Value(version["state"])
            )
            entry.status.error_message = version["status"]["error_message"]
            entry.status.error_code = 0 if version["status"]["error_code"] == "OK" else 2
        self.telemetry.record(spec.name, "status", "OK", time.perf_counter() - began, rpc=True)
        return response

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuses the call: the folder of models is the configuration."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "HandleReloadConfigRequest is not supported."
        )

    async def _run_examples(self, method: str, request: Any, context: Any) -> Any:
        async def work(servable: Servable) -> Any:
            signature = servable.signature(request.model_spec.signature_name)
            examples.check_method(signature, method)
            protos = await in_thread(lambda: self._serialize(request.input), request.ByteSize())
            response = _RESPONSES[method]()
            _describe(response.model_spec, servable, signature.name)
            outputs = await self._outputs(servable, signature, method, protos)
            check_output(size := size_of(outputs), self.limits)
            await in_thread(lambda: _fill(method, outputs, len(protos), response.result), size)
            return response

        return await self._answer(method, request, context, work)

    async def _outputs(
        self, servable: Servable, signature: Signature, method: str, protos: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns the outputs for examples that the results of a method are made of."""
        arrays = dict.fromkeys(signature.inputs, protos)
        return examples.used(await self.batcher.run(servable, signature, arrays), method)

    async def _answer(
        self,
        method: str,
        request: Any,
        context: Any,
        work: Callable[[Servable], Awaitable[Any]],
        spec: Any = None,
    ) -> Any:
        began, size = time.perf_counter(), request.ByteSize()
        spec = request.model_spec if spec is None else spec
        try:
            _check_name(spec)
            with (
                self.admission.request() as reserve,
                self.store.using(spec.name, *_version_choice(spec)) as servable,
            ):
                reserve(size)
                response = await asyncio.wait_for(work(servable), self.limits.seconds)
        except asyncio.TimeoutError:
            await self._refuse(method, spec.name, context, self.limits.too_long(), began)
        except Exception as raised:
            await self._refuse(method, spec.name, context, to_request_error(raised), began)
        self.telemetry.record(spec.name, method, "OK", time.perf_counter() - began, rpc=True)
        return response

    async def _refuse(
        self, method: str, name: str, context: Any, error: RequestError, began: float
    ) -> None:
        known = name if name in self.store.models else ""
        self.telemetry.record(known, method, error.code, time.perf_counter() - began, rpc=True)
        # Raises an exception, so that callers do not continue.
        await context.abort(grpc.StatusCode[error.code], error.message)

    def _array(self, name: str, proto: Any, spec: tf.TensorSpec) -> np.ndarray:
        if proto.dtype != spec.dtype.as_datatype_enum:
            raise RequestError(
                f"input {name} must be of type {spec.dtype.name}, not {_type_name(proto.dtype)}."
            )
        # A proto may give one value for a tensor of any size, so the size is checked first.
        sizes = [dimension.size for dimension in proto.tensor_shape.dim]
        item_size = spec.dtype.size
        if spec.dtype == tf.string:
            # A generator lets other threads run in between.
            item_size += max((len(value) for value in proto.string_val), default=0)
        count = math.prod(sizes)
        complete = spec.dtype == tf.string and len(proto.string_val) == count
        if min(sizes, default=0) < 0 or (count * item_size > self.limits.body and not complete):
            raise RequestError(f"input {name} has an invalid or too large shape: {sizes}.")
        check_rows(sizes[0] if sizes else 1, self.limits)
        try:
            return from_proto(proto)
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestError(f"input {name}: {error}") from None

    def _serialize(self, request_input: Any) -> np.ndarray:
        """Returns the examples as serialized protos, each with the context's features added."""
        shared = request_input.example_list_with_context
        with_context = request_input.WhichOneof("kind") == "example_list_with_context"
        listed = shared.examples if with_context else request_input.example_list.examples
        if not listed:
            raise RequestError("Input is empty.")
        examples.check_shared(len(listed), shared.context.ByteSize(), self.limits)
        context = shared.context.SerializeToString() if with_context else b""
        # Concatenated messages are merged when they are parsed; the later one takes precedence.
        return np.array([context + example.SerializeToString() for example in listed], object)


def add_to(server: grpc.aio.Server, rpc: Rpc) -> None:
    """Registers both services with a gRPC server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(rpc, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(rpc, server)


def _version_choice(spec: Any) -> tuple[int | None, str | None]:
    """Returns the requested version and label; at most one of them is set."""
    kind = spec.WhichOneof("version_choice")
    return (
        spec.version.value if kind == "version" else None,
        spec.version_label if kind == "version_label" else None,
    )


def _check_name(spec: Any) -> None:
    if not spec.name:
        raise RequestError("ModelSpec has no name specified.")


def _output_names(requested: Sequence[str], signature: Signature) -> list[str]:
    """Returns the outputs that a predict request asks for: all of them if it names none."""
    for number, name in enumerate(requested):
        if name not in signature.outputs:
            raise RequestError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(signature.outputs)}}}."
            )
        if name in requested[:number]:
            raise RequestError(f"duplicate output tensor alias: {name}")
    return list(requested) or list(signature.outputs)


def _methods(tasks: Sequence[Any]) -> list[str]:
    """Returns the method of each task of a request, after checking that they go together."""
    methods, signatures = [], set()
    for task in tasks:
        method = task.method_name.rpartition("/")[2]
        if task.method_name not in (CLASSIFY, REGRESS):
            raise RequestError(
                f"Unsupported signature method_name: {task.method_name}", "UNIMPLEMENTED"
            )
        if task.model_spec.name != tasks[0].model_spec.name:
            raise RequestError(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        signature = task.model_spec.signature_name or DEFAULT
        if signature in signatures:
            raise RequestError(f"Duplicate evaluation of signature: {signature}")
        signatures.add(signature)
        methods.append(method)
    return methods


def _fill(method: str, outputs: Mapping[str, np.ndarray], count: int, result: Any) -> None:
    """Adds the results of `count` examples to a message for classes or values."""
    for entry in itertools.chain.from_iterable(examples.parts(outputs, method, count)):
        if method == "regress":
            result.regressions.add(value=entry)
            continue
        classes = result.classifications.add().classes
        for label, score in entry:
            classes.add(label=label, score=score)


def _describe(spec: Any, servable: Servable, signature: str) -> None:
    spec.name, spec.signature_name = servable.name, signature
    spec.version.value = servable.version


def _type_name(number: int) -> str:
    try:
        return tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"number {number}"
