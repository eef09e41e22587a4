"""TensorFlow Serving's gRPC services, for its own clients (`pip install dlrecipes[grpc]`)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from dlrecipes.serving import examples
from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.limits import Limits, check_rows, in_thread
from dlrecipes.serving.servable import Servable
from dlrecipes.serving.status import RequestError, of
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.telemetry import Telemetry

METADATA = "signature_def"


class Rpc(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Answers gRPC requests.

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

    async def Predict(self, request, context):  # noqa: N802
        """Returns the outputs of a signature."""

        async def work(servable: Servable) -> predict_pb2.PredictResponse:
            signature = servable.signature(request.model_spec.signature_name)
            if set(request.inputs) != set(signature.inputs):
                raise RequestError(
                    f"input tensor alias not found in signature: {', '.join(request.inputs)}. "
                    f"Inputs expected to be in the set {{{','.join(signature.inputs)}}}."
                )

            def read() -> dict[str, np.ndarray]:
                found = {
                    name: self._array(name, request.inputs[name], spec)
                    for name, spec in signature.inputs.items()
                }
                signature.check(found)
                return found

            arrays = await in_thread(read, request.ByteSize())
            outputs = await self.batcher.run(servable, signature, arrays)
            wanted = list(request.output_filter) or sorted(outputs)
            for name in wanted:
                if name not in outputs:
                    raise RequestError(f"output tensor alias not found in signature: {name}")
            response = predict_pb2.PredictResponse()
            _describe(response.model_spec, servable, signature.name)
            for name in wanted:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

        return await self._answer("predict", request.model_spec, context, work)

    async def Classify(self, request, context):  # noqa: N802
        """Returns the classes of examples, with scores."""

        def made(found: list, response: classification_pb2.ClassificationResponse) -> None:
            for row in found:
                classes = response.result.classifications.add().classes
                for label, score in row:
                    classes.add(label=label, score=score)

        return await self._of_examples(
            "classify", request, context, classification_pb2.ClassificationResponse(), made
        )

    async def Regress(self, request, context):  # noqa: N802
        """Returns the values of examples."""

        def made(found: list, response: regression_pb2.RegressionResponse) -> None:
            for value in found:
                response.result.regressions.add(value=value)

        return await self._of_examples(
            "regress", request, context, regression_pb2.RegressionResponse(), made
        )

    async def GetModelMetadata(self, request, context):  # noqa: N802
        """Returns a model's signatures."""

        async def work(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
            for wanted in request.metadata_field:
                if wanted != METADATA:
                    raise RequestError(f"Metadata field {wanted} is not supported")
            if not request.metadata_field:
                raise RequestError("GetModelMetadataRequest must specify at least one field")
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            _describe(response.model_spec, servable, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            response.metadata[METADATA].Pack(signatures)
            return response

        return await self._answer("metadata", request.model_spec, context, work)

    async def GetModelStatus(self, request, context):  # noqa: N802
        """Returns the states of a model's versions."""
        began, spec = time.perf_counter(), request.model_spec
        try:
            found = self.store.status(spec.name, *_which(spec))
        except RequestError as error:
            await self._refuse("status", spec.name, context, error, began)
        response = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for one in found:
            told = response.model_version_status.add(
                version=int(one["version"]), state=states.Value(one["state"])
            )
            told.status.error_message = one["status"]["error_message"]
            told.status.error_code = 0 if one["status"]["error_code"] == "OK" else 2
        self.telemetry.record(spec.name, "status", "OK", time.perf_counter() - began, rpc=True)
        return response

    async def MultiInference(self, request, context):  # noqa: N802
        """Refuses: several signatures at a time are several requests."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not answered.")

    async def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        """Refuses: the folder decides which models there are."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "HandleReloadConfigRequest is not answered."
        )

    async def _of_examples(
        self, method: str, request: Any, context: Any, response: Any, made: Callable
    ) -> Any:
        async def work(servable: Servable) -> Any:
            signature = servable.signature(request.model_spec.signature_name)
            examples.check_method(signature, method)
            found = await in_thread(lambda: self._examples(request.input), request.ByteSize())
            arrays = {next(iter(signature.inputs)): found}
            signature.check(arrays)
            outputs = await self.batcher.run(servable, signature, arrays)
            _describe(response.model_spec, servable, signature.name)
            made(examples.results(outputs, method, len(found)), response)
            return response

        return await self._answer(method, request.model_spec, context, work)

    async def _answer(
        self, method: str, spec: Any, context: Any, work: Callable[[Servable], Awaitable[Any]]
    ) -> Any:
        began = time.perf_counter()
        try:
            with self.store.using(spec.name, *_which(spec)) as servable:
                response = await asyncio.wait_for(work(servable), self.limits.seconds)
        except asyncio.TimeoutError:
            await self._refuse(method, spec.name, context, self.limits.too_long(), began)
        except Exception as raised:
            await self._refuse(method, spec.name, context, of(raised), began)
        self.telemetry.record(spec.name, method, "OK", time.perf_counter() - began, rpc=True)
        return response

    async def _refuse(
        self, method: str, name: str, context: Any, error: RequestError, began: float
    ) -> None:
        known = name if name in self.store.models else ""
        self.telemetry.record(known, method, error.code, time.perf_counter() - began, rpc=True)
        # Raises: what follows is not reached.
        await context.abort(grpc.StatusCode[error.code], error.message)

    def _array(self, name: str, proto: Any, spec: tf.TensorSpec) -> np.ndarray:
        if proto.dtype != spec.dtype.as_datatype_enum:
            raise RequestError(
                f"input {name} must be of type {spec.dtype.name}, not {_type_name(proto.dtype)}."
            )
        # One value may stand for any number of them: what all would take is bounded before.
        sizes = [dimension.size for dimension in proto.tensor_shape.dim]
        each = spec.dtype.size
        if spec.dtype == tf.string:
            each += max(map(len, proto.string_val), default=0)
        count = math.prod(sizes)
        given_each = spec.dtype == tf.string and len(proto.string_val) == count
        if min(sizes, default=0) < 0 or (count * each > self.limits.body and not given_each):
            raise RequestError(f"input {name} has a shape that is not taken: {sizes}.")
        check_rows(sizes[0] if sizes else 1, self.limits)
        try:
            return tf.make_ndarray(proto)
        except (TypeError, ValueError) as error:
            raise RequestError(f"input {name}: {error}") from None

    def _examples(self, given: Any) -> np.ndarray:
        shared = given.example_list_with_context
        with_context = given.WhichOneof("kind") == "example_list_with_context"
        listed = shared.examples if with_context else given.example_list.examples
        if not listed:
            raise RequestError("Input is empty.")
        examples.check_shared(len(listed), shared.context.ByteSize(), self.limits)
        found = np.empty(len(listed), object)
        for row, example in enumerate(listed):
            whole = tf.train.Example()
            if with_context:
                whole.CopyFrom(shared.context)
            for name, feature in example.features.feature.items():
                whole.features.feature[name].CopyFrom(feature)
            found[row] = whole.SerializeToString()
        return found


def add_to(server: grpc.aio.Server, rpc: Rpc) -> None:
    """Has a gRPC server answer for both services."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(rpc, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(rpc, server)


def _which(spec: Any) -> tuple[int | None, str | None]:
    kind = spec.WhichOneof("version_choice")
    return (
        spec.version.value if kind == "version" else None,
        spec.version_label if kind == "version_label" else None,
    )


def _describe(spec: Any, servable: Servable, signature: str) -> None:
    spec.name, spec.signature_name = servable.name, signature
    spec.version.value = servable.version


def _type_name(number: int) -> str:
    try:
        return tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"number {number}"
