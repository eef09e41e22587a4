"""Distribution strategies by name, and what this process is among the workers."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from dlrecipes.errors import UsageError

# The names that `--strategy` takes.
STRATEGIES = ("none", "mirrored", "multi_worker")


def strategy(name: str) -> tf.distribute.Strategy:
    """Returns a distribution strategy; `"multi_worker"` waits for all its workers.

    Args:
        name: `"none"`: this process on one device; `"mirrored"`: on all its GPUs, or on all its
            logical CPUs; `"multi_worker"`: with the workers that `TF_CONFIG` lists, which is
            set as TensorFlow, Kubeflow and Ray do. Call it before anything else of TensorFlow's.

    Raises:
        UsageError: If the name is none of these, or `TF_CONFIG` is not right.

    Example:

    >>> strategy("none").num_replicas_in_sync
    1
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        return tf.distribute.MirroredStrategy(devices)
    if name == "multi_worker":
        check_cluster(os.environ.get("TF_CONFIG"))
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise UsageError(f"There is no strategy {name!r}.", f"There are {', '.join(STRATEGIES)}.")


def check_cluster(config: str | None) -> None:
    """Refuses a `TF_CONFIG` from which workers could not find one another.

    Raises:
        UsageError: If it is missing, is no JSON, or lists no such worker as this one.
    """
    right = (
        'Set TF_CONFIG to {"cluster": {"worker": ["HOST:PORT", ...]}, '
        '"task": {"type": "worker", "index": N}}, with its own N for each worker.'
    )
    if not config:
        raise UsageError("TF_CONFIG is not set: the workers do not know of one another.", right)
    try:
        parsed = json.loads(config)
        cluster, task = parsed["cluster"], parsed["task"]
        hosts = cluster[task["type"]]
        known = isinstance(hosts, list) and 0 <= int(task["index"]) < len(hosts)
    except (ValueError, KeyError, TypeError):
        raise UsageError("TF_CONFIG is no description of a cluster.", right) from None
    if not known:
        listed = f"{len(hosts)} of type {task['type']}"
        raise UsageError(f"TF_CONFIG lists {listed}, but no number {task['index']}.", right)


def workers(strategy: tf.distribute.Strategy) -> int:
    """Returns how many processes train together."""
    resolver = strategy.cluster_resolver
    if resolver is None:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


def several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether more than one process trains."""
    return workers(strategy) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that keeps and publishes: there is one."""
    if not several_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().as_dict():
        return resolver.task_type == "chief"
    return resolver.task_type == "worker" and resolver.task_id == 0
