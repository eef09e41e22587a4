"""The role of this process among the workers, and errors for a wrong TF_CONFIG."""

import json
from types import SimpleNamespace

import pytest

from dlrecipes import distribute
from dlrecipes.errors import UsageError

TWO = ["a:2222", "b:2222"]


def config(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def strategy(cluster, kind="worker", index=0):
    """Returns a stand-in with the attributes of a strategy that `distribute` reads."""
    spec = SimpleNamespace(as_dict=lambda: cluster)
    resolver = SimpleNamespace(cluster_spec=lambda: spec, task_type=kind, task_id=index)
    return SimpleNamespace(cluster_resolver=resolver)


@pytest.mark.parametrize(
    "cluster, kind, index, workers, chief",
    [
        ({"worker": TWO}, "worker", 0, 2, True),
        ({"worker": TWO}, "worker", 1, 2, False),
        ({"chief": ["c:1"], "worker": TWO}, "chief", 0, 3, True),
        # With a chief, the first worker is an ordinary worker.
        ({"chief": ["c:1"], "worker": TWO}, "worker", 0, 3, False),
        # Parameter servers and evaluators do not train.
        ({"worker": TWO, "evaluator": ["e:1"]}, "worker", 1, 2, False),
    ],
)
def test_exactly_one_worker_is_the_chief(cluster, kind, index, workers, chief):
    parsed = distribute.check_cluster(config(cluster, kind, index))
    assert parsed == distribute.Cluster(workers, chief, f"{kind} {index}")
    worker_strategy = strategy(cluster, kind, index)
    assert distribute.workers(worker_strategy) == workers
    assert distribute.is_chief(worker_strategy) is chief


def test_single_process_is_the_chief():
    for single in (SimpleNamespace(cluster_resolver=None), strategy({"worker": ["a:1"]})):
        assert distribute.is_chief(single)
        assert not distribute.several_workers(single)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "TF_CONFIG is not set"),
        ("", "TF_CONFIG is not set"),
        ("{", "does not describe a cluster"),
        ("[]", "does not describe a cluster"),
        ('{"cluster": {"worker": ["a:1"]}}', "does not describe a cluster"),
        (config({"worker": TWO}, "chief"), "does not describe a cluster"),
        (config({"worker": TWO}, index="x"), "does not describe a cluster"),
        (config({"worker": TWO}, index=2), "lists 2 tasks of type worker, but no index 2"),
        (config({"worker": TWO}, index=-1), "lists 2 tasks of type worker, but no index -1"),
        (config({"worker": TWO, "ps": ["p:1"]}, "ps"), "a task of type ps does not train"),
        (config({"worker": ["a:1", "b"]}), "expected HOST:PORT, got 'b'"),
        (config({"worker": ["a:1", 7]}), "expected HOST:PORT, got 7"),
        (config({"worker": ["a:1", "a:1"]}), "two workers have the same address"),
    ],
)
def test_wrong_cluster_is_reported_in_one_line_with_a_correct_example(text, message):
    with pytest.raises(UsageError, match=message) as error:
        distribute.check_cluster(text)
    assert "\n" not in str(error.value)
    assert '"task": {"type": "worker", "index": N}' in error.value.hint


def test_unknown_strategy_is_reported_with_the_valid_names():
    with pytest.raises(UsageError, match="Unknown strategy 'tpu'") as error:
        distribute.strategy("tpu")
    assert all(name in error.value.hint for name in distribute.STRATEGIES)
