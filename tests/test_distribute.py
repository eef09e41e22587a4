"""What this process is among the workers, and a TF_CONFIG that is not right."""

import json
from types import SimpleNamespace

import pytest

from dlrecipes import distribute
from dlrecipes.errors import UsageError

TWO = ["a:2222", "b:2222"]


def config(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def strategy(cluster, kind="worker", index=0):
    """What tells a strategy's place: as much of it as is looked at."""
    spec = SimpleNamespace(as_dict=lambda: cluster)
    resolver = SimpleNamespace(cluster_spec=lambda: spec, task_type=kind, task_id=index)
    return SimpleNamespace(cluster_resolver=resolver)


@pytest.mark.parametrize(
    "cluster, kind, index, workers, chief",
    [
        ({"worker": TWO}, "worker", 0, 2, True),
        ({"worker": TWO}, "worker", 1, 2, False),
        ({"chief": ["c:1"], "worker": TWO}, "chief", 0, 3, True),
        # Where there is a chief, the first worker is none.
        ({"chief": ["c:1"], "worker": TWO}, "worker", 0, 3, False),
        # Servers of parameters and evaluators do not train.
        ({"worker": TWO, "evaluator": ["e:1"]}, "worker", 1, 2, False),
    ],
)
def test_one_worker_is_the_chief(cluster, kind, index, workers, chief):
    found = distribute.check_cluster(config(cluster, kind, index))
    assert found == distribute.Cluster(workers, chief, f"{kind} {index}")
    its = strategy(cluster, kind, index)
    assert distribute.workers(its) == workers
    assert distribute.is_chief(its) is chief


def test_a_process_alone_is_the_chief():
    for alone in (SimpleNamespace(cluster_resolver=None), strategy({"worker": ["a:1"]})):
        assert distribute.is_chief(alone)
        assert not distribute.several_workers(alone)


@pytest.mark.parametrize(
    "text, told",
    [
        (None, "TF_CONFIG is not set"),
        ("", "TF_CONFIG is not set"),
        ("{", "no description of a cluster"),
        ("[]", "no description of a cluster"),
        ('{"cluster": {"worker": ["a:1"]}}', "no description of a cluster"),
        (config({"worker": TWO}, "chief"), "no description of a cluster"),
        (config({"worker": TWO}, index="x"), "no description of a cluster"),
        (config({"worker": TWO}, index=2), "lists 2 of type worker, but no number 2"),
        (config({"worker": TWO}, index=-1), "lists 2 of type worker, but no number -1"),
        (config({"worker": TWO, "ps": ["p:1"]}, "ps"), "a task of type ps does not train"),
        (config({"worker": ["a:1", "b"]}), "'b' is no HOST:PORT"),
        (config({"worker": ["a:1", 7]}), "7 is no HOST:PORT"),
        (config({"worker": ["a:1", "a:1"]}), "two workers have one address"),
    ],
)
def test_wrong_cluster_is_told_in_one_line_with_what_is_right(text, told):
    with pytest.raises(UsageError, match=told) as error:
        distribute.check_cluster(text)
    assert "\n" not in str(error.value)
    assert '"task": {"type": "worker", "index": N}' in error.value.hint


def test_unknown_strategy_is_told_with_those_there_are():
    with pytest.raises(UsageError, match="no strategy 'tpu'") as error:
        distribute.strategy("tpu")
    assert all(name in error.value.hint for name in distribute.STRATEGIES)
