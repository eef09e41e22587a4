"""Requests together: who waits, what is shared, who fails."""

import asyncio
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving.batching import Batcher
from dlrecipes.serving.servable import PREDICT, Signature
from dlrecipes.serving.status import RequestError


class Recorded(Signature):
    """A signature that adds 1, notes how many examples came at once, and refuses negatives."""

    def run(self, arrays):
        with self.function["lock"]:
            self.function["sizes"].append(len(arrays["x"]))
        time.sleep(self.function["seconds"])
        if (arrays["x"] < 0).any():
            raise RequestError("negative")
        return {"y": arrays["x"] + 1}


def recorded(by_example=True, seconds=0.0):
    function = {"sizes": [], "seconds": seconds, "lock": threading.Lock()}
    specs = {"x": tf.TensorSpec([None], tf.float32)}
    return Recorded("serving_default", function, specs, PREDICT, by_example)


def run(signature, requests, **settings):
    """Sends all requests at once; returns what each got."""
    settings = {"max_batch": 8, "timeout": 0.05, "queue": 100, "threads": 4, **settings}

    async def all_of_them():
        batcher = Batcher(**settings)
        work = (batcher.run("owner", signature, {"x": np.float32(x)}) for x in requests)
        found = await asyncio.gather(*work, return_exceptions=True)
        assert batcher.pending == 0
        batcher.close()
        return found

    return asyncio.run(all_of_them())


def test_requests_at_one_time_are_one_run():
    signature = recorded()
    found = run(signature, [[1], [2, 3], [4]])
    assert [one["y"].tolist() for one in found] == [[2], [3, 4], [5]]
    assert signature.function["sizes"] == [4]


def test_a_full_batch_does_not_wait():
    signature = recorded()
    began = time.perf_counter()
    run(signature, [[k] for k in range(8)], timeout=60.0)
    assert time.perf_counter() - began < 30
    assert signature.function["sizes"] == [8]


def test_what_does_not_fit_begins_the_next():
    signature = recorded()
    found = run(signature, [[1] * 5, [2] * 5, [3] * 3])
    assert sorted(signature.function["sizes"]) == [5, 8]
    assert [len(one["y"]) for one in found] == [5, 5, 3]


def test_larger_requests_run_alone():
    signature = recorded()
    run(signature, [list(range(20)), [1]])
    assert sorted(signature.function["sizes"]) == [1, 20]


@pytest.mark.parametrize("settings", [{"max_batch": 1}, {"by_example": False}])
def test_without_batching_each_runs_alone(settings):
    signature = recorded(settings.pop("by_example", True))
    run(signature, [[1], [2], [3]], **settings)
    assert signature.function["sizes"] == [1, 1, 1]


def test_other_shapes_are_other_batches():
    signature = recorded()
    run(signature, [[[1, 2]], [[1, 2, 3]], [[4, 5]]])
    assert sorted(signature.function["sizes"]) == [1, 2]


def test_one_that_fails_fails_alone():
    signature = recorded()
    good, bad, other = run(signature, [[1], [-1], [3]])
    assert (good["y"].tolist(), other["y"].tolist()) == ([2], [4])
    assert isinstance(bad, RequestError)
    assert bad.message == "negative"
    assert signature.function["sizes"] == [3, 1, 2, 1, 1]


def test_one_of_many_that_fails_is_found_in_halves():
    signature, told = recorded(), []
    values = [[-1 if k == 21 else k] for k in range(64)]
    found = run(signature, values, max_batch=64, ran=lambda owner, rows: told.append(rows))
    bad = found.pop(21)
    assert isinstance(bad, RequestError)
    assert [one["y"].tolist() for one in found] == [[k + 1] for k in range(64) if k != 21]
    # All, and two halves at each of six levels; each run is told of.
    assert len(signature.function["sizes"]) == 1 + 2 * 6
    assert told == signature.function["sizes"]


def test_whoever_leaves_takes_the_request_along():
    signature = recorded(seconds=0.3)

    async def leave():
        batcher = Batcher(1, 4, 0.001, 10)
        x = {"x": np.float32([1])}
        first = asyncio.create_task(batcher.run("o", signature, x))
        await asyncio.sleep(0.05)
        # The one thread is busy: five wait, four of them in a batch that none can join.
        leaving = [asyncio.create_task(batcher.run("o", signature, x)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert (batcher.pending, len(batcher._due), len(batcher._open)) == (1, 0, 0)
        found = await first
        batcher.close()
        return found

    assert asyncio.run(leave())["y"].tolist() == [2]
    assert signature.function["sizes"] == [1]


def test_whatever_goes_wrong_is_told():
    def ran(owner, rows):
        raise ValueError("no such counter")

    (found,) = run(recorded(), [[1]], ran=ran)
    assert (found.code, found.message) == ("INTERNAL", "ValueError: no such counter")


def test_beyond_the_queue_requests_are_refused():
    signature = recorded(seconds=0.05)
    found = run(signature, [[k] for k in range(10)], max_batch=1, queue=4)
    refused = [one for one in found if isinstance(one, RequestError)]
    assert len(refused) == 6
    assert {one.http for one in refused} == {429}
    assert [one["y"].tolist() for one in found[:4]] == [[1], [2], [3], [4]]


def test_an_output_whose_first_axis_is_something_else_is_run_apart():
    signature = recorded()

    class Summed(Recorded):
        def run(self, arrays):
            super().run(arrays)
            return {"y": arrays["x"].sum(keepdims=True)}

    summed = Summed("s", signature.function, signature.inputs, PREDICT, True)
    found = run(summed, [[1, 2], [3, 4]])
    assert [one["y"].tolist() for one in found] == [[3], [7]]


def test_who_has_gone_away_is_not_computed_for():
    signature = recorded()

    async def leave():
        batcher = Batcher(1, 8, 0.1, 10)
        x = {"x": np.float32([1])}
        leaving = asyncio.create_task(batcher.run("o", signature, x))
        staying = asyncio.create_task(batcher.run("o", signature, x))
        await asyncio.sleep(0.01)
        leaving.cancel()
        found = await staying
        assert batcher.pending == 0
        batcher.close()
        return found

    assert asyncio.run(leave())["y"].tolist() == [2]
    assert signature.function["sizes"] == [1]


def test_while_all_threads_are_busy_batches_grow():
    signature = recorded(seconds=0.2)

    async def in_turn():
        batcher = Batcher(1, 8, 0.001, 100)

        async def send(value, after):
            await asyncio.sleep(after)
            return await batcher.run("owner", signature, {"x": np.float32([value])})

        # The first runs at once; the others come one by one while it does.
        found = await asyncio.gather(*(send(k, 0.015 * k) for k in range(8)))
        batcher.close()
        return found

    assert [one["y"].tolist() for one in asyncio.run(in_turn())] == [[k + 1] for k in range(8)]
    assert signature.function["sizes"] == [1, 7]


def test_a_batch_that_fills_while_it_waits_keeps_its_turn():
    signature = recorded(seconds=0.1)
    values = [[0], *([k] * 5 for k in range(1, 5))]

    async def in_turn():
        batcher = Batcher(1, 8, 0.001, 100)
        ended = []

        async def send(value, after):
            await asyncio.sleep(after)
            await batcher.run("owner", signature, {"x": np.float32(value)})
            ended.append(value[0])

        await asyncio.gather(*(send(value, 0.01 * k) for k, value in enumerate(values)))
        batcher.close()
        return ended

    assert asyncio.run(in_turn()) == [0, 1, 2, 3, 4]
    assert signature.function["sizes"] == [1, 5, 5, 5, 5]
