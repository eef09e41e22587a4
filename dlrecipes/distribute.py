"""Distribution strategies by name, and the role of this process among the workers.

This module loads TensorFlow only when a strategy is made.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlrecipes.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf

# Values of `--strategy`.
STRATEGIES = ("none", "mirrored", "multi_worker")

# Files travel between workers in parts of this many bytes.
CHUNK = 2**25


@dataclass(frozen=True)
class Cluster:
    """The workers that train together, and the role of this process among them.

    Args:
        workers: Number of workers, the chief included.
        is_chief: Whether this worker keeps checkpoints and publishes.
        name: Name of this worker, such as `"worker 1"`.
    """

    workers: int
    is_chief: bool
    name: str


def strategy(name: str) -> tf.distribute.Strategy:
    """Returns a distribution strategy; `"multi_worker"` waits until all workers have joined.

    Call it before any other TensorFlow function.

    Args:
        name: `"none"` trains in this process on one device. `"mirrored"` trains on all its GPUs,
            or on all its logical CPUs if it has no GPU. `"multi_worker"` trains with the workers
            that `TF_CONFIG` lists, in the format that TensorFlow, Kubeflow and Ray use.

    Raises:
        UsageError: If the name is not one of these, or `TF_CONFIG` is wrong.

    Example:

    >>> from dlrecipes.distribute import strategy
    >>> strategy("none").num_replicas_in_sync
    1
    """
    import tensorflow as tf

    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        return tf.distribute.MirroredStrategy(devices)
    if name == "multi_worker":
        check_cluster(os.environ.get("TF_CONFIG"))
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise UsageError(f"Unknown strategy {name!r}.", f"Choose from {', '.join(STRATEGIES)}.")


def check_cluster(config: str | None) -> Cluster:
    """Returns the cluster that `TF_CONFIG` describes, and rejects a wrong description.

    Args:
        config: The value of `TF_CONFIG`, or `None` if it is not set.

    Raises:
        UsageError: If the value is missing, is not JSON, or does not list this worker.

    Example:

    >>> from dlrecipes.distribute import check_cluster
    >>> check_cluster(
    ...     '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}'
    ... )
    Cluster(workers=2, is_chief=False, name='worker 1')
    """
    hint = (
        'Set TF_CONFIG to {"cluster": {"worker": ["HOST:PORT", ...]}, '
        '"task": {"type": "worker", "index": N}}, with a different N for each worker.'
    )
    if not config:
        raise UsageError("TF_CONFIG is not set, so the workers cannot find each other.", hint)
    try:
        parsed = json.loads(config)
        cluster, task = parsed["cluster"], parsed["task"]
        kind, index = task["type"], int(task["index"])
        hosts = cluster[kind]
        is_listed = isinstance(hosts, list) and 0 <= index < len(hosts)
    except (ValueError, KeyError, TypeError):
        raise UsageError("TF_CONFIG does not describe a cluster.", hint) from None
    if not is_listed:
        tasks = f"{len(hosts)} tasks of type {task['type']}"
        raise UsageError(f"TF_CONFIG lists {tasks}, but no index {task['index']}.", hint)
    if kind not in ("chief", "worker"):
        raise UsageError(f"TF_CONFIG: a task of type {kind} does not train.", hint)
    addresses = [host for job in ("chief", "worker") for host in cluster.get(job, ())]
    malformed = [host for host in addresses if not _is_address(host)]
    if malformed:
        raise UsageError(f"TF_CONFIG: expected HOST:PORT, got {malformed[0]!r}.", hint)
    if len(set(addresses)) < len(addresses):
        raise UsageError("TF_CONFIG: two workers have the same address.", hint)
    is_chief = kind == "chief" or ("chief" not in cluster and index == 0)
    return Cluster(len(addresses), is_chief, f"{kind} {index}")


def _is_address(host: object) -> bool:
    return isinstance(host, str) and bool(host.rpartition(":")[0]) and host.split(":")[-1].isdigit()


def workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together.

    Args:
        strategy: The distribution strategy.
    """
    resolver = strategy.cluster_resolver
    if resolver is None:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


def several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether more than one process trains.

    Args:
        strategy: The distribution strategy.
    """
    return workers(strategy) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the chief, the only one that keeps checkpoints and publishes.

    Args:
        strategy: The distribution strategy.
    """
    if not several_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().as_dict():
        return resolver.task_type == "chief"
    return resolver.task_type == "worker" and resolver.task_id == 0


def is_worker_failure(error: Exception) -> bool:
    """Returns whether an error may be TensorFlow's report of a lost worker.

    Args:
        error: The error that was raised.
    """
    import tensorflow as tf

    # The type depends on the operation that was interrupted.
    kinds = (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.FailedPreconditionError,
        tf.errors.InternalError,
        tf.errors.UnavailableError,
        tf.errors.UnknownError,
    )
    return isinstance(error, kinds)


def broadcast_from_chief(strategy: tf.distribute.Strategy, data: bytes) -> bytes:
    """Returns the chief's bytes on every worker; all workers must call it at the same time.

    Args:
        strategy: The distribution strategy, with one worker or several.
        data: The bytes to send. Only the chief's are read.
    """
    import numpy as np
    import tensorflow as tf

    if not several_workers(strategy):
        return data
    # Every device can gather float32, which holds 16-bit integers exactly.
    framed = len(data).to_bytes(8, "little") + data + b"\0" * (len(data) % 2)
    numbers = np.frombuffer(framed, "<u2").astype(np.float32)

    def contribution(context: tf.distribute.ReplicaContext) -> tf.Tensor:
        is_source = is_chief(strategy) and context.replica_id_in_sync_group == 0
        return tf.constant(numbers if is_source else numbers[:0])

    values = strategy.experimental_distribute_values_from_function(contribution)
    gathered = strategy.gather(values, axis=0).numpy().astype("<u2").tobytes()
    length = int.from_bytes(gathered[:8], "little")
    return gathered[8 : 8 + length]


def all_true(strategy: tf.distribute.Strategy, agrees: bool) -> bool:
    """Returns on every worker whether all workers agree; all must call it at the same time.

    Args:
        strategy: The distribution strategy.
        agrees: Whether this worker agrees.
    """
    import tensorflow as tf

    def vote(context: tf.distribute.ReplicaContext) -> tf.Tensor:
        return tf.constant([float(agrees)])

    votes = strategy.experimental_distribute_values_from_function(vote)
    return bool(strategy.gather(votes, axis=0).numpy().all())


def broadcast_files_from_chief(
    strategy: tf.distribute.Strategy, folder: Path | None, target: Path
) -> None:
    """Copies the files of a folder on the chief to every other worker.

    The files travel over the network that also carries gradients: workers need no shared disk.

    Args:
        strategy: The distribution strategy, with several workers.
        folder: The chief's folder, which contains only files, or `None` to copy nothing.
        target: Folder on the other workers. Created if there are files to write.
    """
    chief = is_chief(strategy)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()} if folder else {}
    sizes = json.loads(broadcast_from_chief(strategy, json.dumps(sizes).encode()))
    for name, size in sizes.items():
        data = (folder / name).read_bytes() if chief else b""
        parts = [broadcast_from_chief(strategy, data[i : i + CHUNK]) for i in range(0, size, CHUNK)]
        if not chief:
            target.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(b"".join(parts))
