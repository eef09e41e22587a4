"""The gRPC server next to connections without calls, and calls whose messages do not arrive."""

import asyncio
import contextlib
import socket

import pytest
import tensorflow as tf

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # noqa: E402

from dlrecipes.serving import grpc_server  # noqa: E402
from dlrecipes.serving.batching import Batcher  # noqa: E402
from dlrecipes.serving.limits import Admission, Limits  # noqa: E402
from dlrecipes.serving.rpc import Rpc  # noqa: E402
from dlrecipes.serving.security import Access  # noqa: E402
from dlrecipes.serving.store import ModelStore  # noqa: E402
from dlrecipes.serving.telemetry import Telemetry  # noqa: E402

STALLED = 1010
# The first bytes of a client of HTTP/2: the preface, and an empty frame with settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def test_calls_without_a_message_do_not_shut_out_others(half):
    store = ModelStore(half)
    store.refresh()
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))

    async def run():
        batcher = Batcher(1, 8, 0.0, 5)
        rpc = Rpc(store, batcher, Telemetry(None), Limits(), Admission(5, 10**6))
        server, port = await grpc_server.start(rpc, "127.0.0.1:0", Access())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stalled = [
                channel.stream_unary("/tensorflow.serving.PredictionService/Predict")()
                for _ in range(STALLED)
            ]
            await asyncio.sleep(0.5)
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answers = [await stub.Predict(request, timeout=20) for _ in range(10)]
            assert [list(tf.make_ndarray(a.outputs["y"])) for a in answers] == [[2.5]] * 10
            assert not any(call.done() for call in stalled)
            for call in stalled:
                call.cancel()
        await server.stop(None)
        batcher.close()

    asyncio.run(run())


def test_too_many_calls_in_progress_are_refused(half):
    store = ModelStore(half)
    store.refresh()

    async def run():
        admission = Admission(1, 10**6)
        rpc = Rpc(store, Batcher(1, 8, 0.0, 5), Telemetry(None), Limits(), admission)
        server, port = await grpc_server.start(rpc, "127.0.0.1:0", Access())
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        with admission.request():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                with pytest.raises(grpc.RpcError) as refused:
                    await stub.Predict(request, timeout=20)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await server.stop(None)

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", PREFACE], ids=["silent", "idle"])
def test_connections_without_calls_are_bounded_in_number_and_time(half, monkeypatch, sent):
    monkeypatch.setattr(grpc_server, "HANDSHAKE_SECONDS", 1.0)
    store = ModelStore(half)
    store.refresh()
    limit = 3

    def connected(port, stack):
        connections = []
        for _ in range(limit + 2):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(OSError):
                connection.sendall(sent)
            connections.append(connection)
        return connections

    def ends(connection, seconds):
        """Whether the server ends a connection within this time after its last data."""
        connection.settimeout(seconds)
        try:
            while connection.recv(4096):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    async def run():
        rpc = Rpc(store, Batcher(1, 8, 0.0, 5), Telemetry(None), Limits(), Admission(5, 10**6))
        server, port = await grpc_server.start(
            rpc, "127.0.0.1:0", Access(), connections=limit, keep_alive=1.0
        )
        with contextlib.ExitStack() as stack:
            sockets = await asyncio.to_thread(connected, port, stack)
            ended = [await asyncio.to_thread(ends, one, 0.1) for one in sockets]
            assert ended == [False] * limit + [True] * 2
            for one in sockets[:limit]:
                assert await asyncio.to_thread(ends, one, 5)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 10)
        await server.stop(None)

    asyncio.run(run())
