"""Batching: which requests are run together, in which order, and which of them fail."""

import asyncio
import contextlib
import dataclasses
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.servable import Signature
from dlrecipes.serving.server import Settings
from dlrecipes.serving.status import RequestError


class RecordingSignature(Signature):
    """A signature that adds 1, records the batch sizes, and refuses negative numbers."""

    def run(self, arrays):
        with self.function["lock"]:
            self.function["sizes"].append(len(arrays["x"]))
            self.function["names"].append(self.name)
        time.sleep(self.function["seconds"])
        if (arrays["x"] < 0).any():
            raise RequestError("negative")
        return {"y": arrays["x"] + 1}


def recording(by_example=True, seconds=0.0):
    function = {"sizes": [], "names": [], "seconds": seconds, "lock": threading.Lock()}
    specs = {"x": tf.TensorSpec(None, tf.float32)}
    return RecordingSignature("serving_default", function, specs, ("y",), by_example)


def run(signature, requests, **settings):
    """Sends all requests at once and returns their results or errors."""
    settings = {"max_batch": 8, "timeout": 0.0, "queue": 100, "threads": 4, **settings}

    async def send_all():
        batcher = Batcher(**settings)
        work = (batcher.run("owner", signature, {"x": np.float32(x)}) for x in requests)
        results = await asyncio.gather(*work, return_exceptions=True)
        assert batcher.pending == 0
        batcher.close()
        return results

    return asyncio.run(send_all())


def test_simultaneous_requests_share_one_run():
    signature = recording()
    results = run(signature, [[1], [2, 3], [4]])
    assert [result["y"].tolist() for result in results] == [[2], [3, 4], [5]]
    assert signature.function["sizes"] == [4]


def test_a_full_batch_does_not_wait():
    signature = recording()
    start = time.perf_counter()
    run(signature, [[k] for k in range(8)], timeout=60.0)
    assert time.perf_counter() - start < 30
    assert signature.function["sizes"] == [8]


def test_a_request_that_does_not_fit_starts_the_next_batch():
    signature = recording()
    results = run(signature, [[1] * 5, [2] * 5, [3] * 3])
    assert sorted(signature.function["sizes"]) == [5, 8]
    assert [len(result["y"]) for result in results] == [5, 5, 3]


def test_a_request_larger_than_a_batch_runs_alone():
    signature = recording()
    run(signature, [list(range(20)), [1]])
    assert sorted(signature.function["sizes"]) == [1, 20]


@pytest.mark.parametrize("settings", [{"max_batch": 1}, {"by_example": False}])
def test_each_request_runs_alone_without_batching(settings):
    signature = recording(settings.pop("by_example", True))
    run(signature, [[1], [2], [3]], **settings)
    assert signature.function["sizes"] == [1, 1, 1]


def test_requests_of_different_shapes_are_not_batched_together():
    signature = recording()
    run(signature, [[[1, 2]], [[1, 2, 3]], [[4, 5]]])
    assert sorted(signature.function["sizes"]) == [1, 2]


def test_a_failing_request_fails_alone():
    signature = recording()
    good, bad, other = run(signature, [[1], [-1], [3]])
    assert (good["y"].tolist(), other["y"].tolist()) == ([2], [4])
    assert isinstance(bad, RequestError)
    assert bad.message == "negative"
    assert signature.function["sizes"] == [3, 1, 2, 1, 1]


def test_a_failing_request_among_many_is_found_by_bisection():
    signature, sizes = recording(), []
    values = [[-1 if k == 21 else k] for k in range(64)]
    results = run(signature, values, max_batch=64, ran=lambda owner, rows: sizes.append(rows))
    bad = results.pop(21)
    assert isinstance(bad, RequestError)
    assert [result["y"].tolist() for result in results] == [[k + 1] for k in range(64) if k != 21]
    # One run of all requests, and two halves on each of six levels; the callback gets every run.
    assert len(signature.function["sizes"]) == 1 + 2 * 6
    assert sizes == signature.function["sizes"]


def test_requests_of_disconnected_callers_leave_their_batches():
    signature = recording(seconds=0.3)

    async def leave():
        batcher = Batcher(1, 4, 0.0, 10)
        x = {"x": np.float32([1])}
        first = asyncio.create_task(batcher.run("o", signature, x))
        await asyncio.sleep(0.05)
        # The only thread is busy: five requests wait, four of them in a batch that is full.
        leaving = [asyncio.create_task(batcher.run("o", signature, x)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert (batcher.pending, len(batcher._ready), len(batcher._open)) == (1, 0, 0)
        result = await first
        batcher.close()
        return result

    assert asyncio.run(leave())["y"].tolist() == [2]
    assert signature.function["sizes"] == [1]


def test_an_unexpected_exception_is_reported_as_internal():
    def ran(owner, rows):
        raise ValueError("no such counter")

    (error,) = run(recording(), [[1]], ran=ran)
    assert (error.code, error.message) == ("INTERNAL", "ValueError: no such counter")


def test_requests_beyond_the_queue_are_refused():
    signature = recording(seconds=0.05)
    results = run(signature, [[k] for k in range(10)], max_batch=1, queue=4)
    refused = [result for result in results if isinstance(result, RequestError)]
    assert len(refused) == 6
    assert {error.http for error in refused} == {429}
    assert [result["y"].tolist() for result in results[:4]] == [[1], [2], [3], [4]]


def test_requests_run_alone_if_outputs_lack_the_batch_axis():
    signature = recording()

    class SummingSignature(RecordingSignature):
        def run(self, arrays):
            super().run(arrays)
            return {"y": arrays["x"].sum(keepdims=True)}

    summing = SummingSignature("s", signature.function, signature.inputs, ("y",), True)
    results = run(summing, [[1, 2], [3, 4]])
    assert [result["y"].tolist() for result in results] == [[3], [7]]


def test_nothing_is_computed_for_a_disconnected_caller():
    signature = recording()

    async def leave():
        batcher = Batcher(1, 8, 0.1, 10)
        x = {"x": np.float32([1])}
        leaving = asyncio.create_task(batcher.run("o", signature, x))
        staying = asyncio.create_task(batcher.run("o", signature, x))
        await asyncio.sleep(0.01)
        leaving.cancel()
        result = await staying
        assert batcher.pending == 0
        batcher.close()
        return result

    assert asyncio.run(leave())["y"].tolist() == [2]
    assert signature.function["sizes"] == [1]


def test_a_lone_request_does_not_wait_for_others():
    """By default nothing waits while a thread is free, and the timeout is what a batch waits."""
    seconds = {}
    for timeout in (0.0, 0.5):
        began = time.perf_counter()
        run(recording(), [[1]], timeout=timeout)
        seconds[timeout] = time.perf_counter() - began
    assert seconds[0.0] < 0.25
    assert seconds[0.5] >= 0.5
    assert Settings(Path()).batch_timeout == 0


def test_a_batch_waits_for_its_timeout_even_if_a_thread_is_free():
    signature = recording()

    async def in_turn():
        batcher = Batcher(4, 8, 0.2, 100)

        async def send(value, delay):
            await asyncio.sleep(delay)
            return await batcher.run("owner", signature, {"x": np.float32([value])})

        await asyncio.gather(*(send(k, 0.01 * k) for k in range(4)))
        batcher.close()

    asyncio.run(in_turn())
    assert signature.function["sizes"] == [4]


def test_signatures_take_turns():
    """Ten full batches of one model do not delay the single request of another."""
    busy = recording(seconds=0.02)
    other = dataclasses.replace(busy, name="other")

    async def send_all():
        batcher = Batcher(1, 8, 0.0, 1000)
        x = {"x": np.float32([1])}
        many = [asyncio.create_task(batcher.run("a", busy, x)) for _ in range(80)]
        await asyncio.sleep(0.01)
        await batcher.run("b", other, x)
        finished = sum(task.done() for task in many)
        await asyncio.gather(*many)
        batcher.close()
        return finished

    assert asyncio.run(send_all()) <= 16
    assert busy.function["names"].index("other") <= 2
    assert sum(busy.function["sizes"]) == 81


def test_every_request_is_answered_while_others_fail_and_leave():
    """No wake-up is lost: callers come, fail and leave at random, and all others get an answer."""
    signature = recording(seconds=0.001)
    rng = random.Random(0)

    async def send(batcher, number):
        await asyncio.sleep(rng.random() / 10)
        kind = rng.choice(["stay", "stay", "fail", "leave", "large"])
        values = {"fail": [-1.0], "large": [float(number)] * 9}.get(kind, [float(number)])
        work = batcher.run(number % 3, signature, {"x": np.float32(values)})
        if kind == "leave":
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(work, rng.random() / 100)
        elif kind == "fail":
            with pytest.raises(RequestError):
                await work
        else:
            assert (await work)["y"].tolist() == [value + 1 for value in values]

    async def send_all(timeout):
        batcher = Batcher(2, 8, timeout, 1000)
        work = asyncio.gather(*(send(batcher, number) for number in range(400)))
        await asyncio.wait_for(work, 30)
        assert (batcher.pending, len(batcher._ready), len(batcher._open)) == (0, 0, 0)
        batcher.close()

    for timeout in (0.0, 0.005):
        asyncio.run(send_all(timeout))


def test_inputs_of_another_shape_than_declared_run_alone():
    signature = recording()
    declared = dataclasses.replace(signature, inputs={"x": tf.TensorSpec([None], tf.float32)})
    results = run(declared, [[[1.0]], [[2.0]], [3.0], [4.0]])
    assert [result["y"].ravel().tolist() for result in results] == [[2], [3], [4], [5]]
    assert sorted(signature.function["sizes"]) == [1, 1, 2]


def test_batches_grow_while_all_threads_are_busy():
    signature = recording(seconds=0.2)

    async def in_turn():
        batcher = Batcher(1, 8, 0.0, 100)

        async def send(value, delay):
            await asyncio.sleep(delay)
            return await batcher.run("owner", signature, {"x": np.float32([value])})

        # The first request runs at once; the others arrive one by one during its run.
        results = await asyncio.gather(*(send(k, 0.015 * k) for k in range(8)))
        batcher.close()
        return results

    assert [result["y"].tolist() for result in asyncio.run(in_turn())] == [
        [k + 1] for k in range(8)
    ]
    assert signature.function["sizes"] == [1, 7]


def test_a_batch_that_fills_while_queued_keeps_its_position():
    signature = recording(seconds=0.1)
    values = [[0], *([k] * 5 for k in range(1, 5))]

    async def in_turn():
        batcher = Batcher(1, 8, 0.0, 100)
        finished = []

        async def send(value, delay):
            await asyncio.sleep(delay)
            await batcher.run("owner", signature, {"x": np.float32(value)})
            finished.append(value[0])

        await asyncio.gather(*(send(value, 0.01 * k) for k, value in enumerate(values)))
        batcher.close()
        return finished

    assert asyncio.run(in_turn()) == [0, 1, 2, 3, 4]
    assert signature.function["sizes"] == [1, 5, 5, 5, 5]
