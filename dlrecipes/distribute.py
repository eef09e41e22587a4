"""Distribution strategies by name, and what this process is among the workers.

Nothing here loads TensorFlow before a strategy is made.
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

# The names that `--strategy` takes.
STRATEGIES = ("none", "mirrored", "multi_worker")

# So many bytes go from worker to worker at once.
CHUNK = 2**25


@dataclass(frozen=True)
class Cluster:
    """The workers that train together, and which of them this process is.

    Args:
        workers: How many there are.
        is_chief: Whether this is the one that keeps checkpoints and publishes.
        name: What it is called among them, such as `"worker 1"`.
    """

    workers: int
    is_chief: bool
    name: str


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
    raise UsageError(f"There is no strategy {name!r}.", f"There are {', '.join(STRATEGIES)}.")


def check_cluster(config: str | None) -> Cluster:
    """Refuses a `TF_CONFIG` from which workers could not find one another.

    Raises:
        UsageError: If it is missing, is no JSON, or lists no such worker as this one.

    Example:

    >>> check_cluster(
    ...     '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}'
    ... )
    Cluster(workers=2, is_chief=False, name='worker 1')
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
        kind, index = task["type"], int(task["index"])
        hosts = cluster[kind]
        known = isinstance(hosts, list) and 0 <= index < len(hosts)
    except (ValueError, KeyError, TypeError):
        raise UsageError("TF_CONFIG is no description of a cluster.", right) from None
    if not known:
        listed = f"{len(hosts)} of type {task['type']}"
        raise UsageError(f"TF_CONFIG lists {listed}, but no number {task['index']}.", right)
    if kind not in ("chief", "worker"):
        raise UsageError(f"TF_CONFIG: a task of type {kind} does not train.", right)
    together = [host for job in ("chief", "worker") for host in cluster.get(job, ())]
    wrong = [host for host in together if not _is_address(host)]
    if wrong or len(set(together)) < len(together):
        what = f"{wrong[0]!r} is no HOST:PORT" if wrong else "two workers have one address"
        raise UsageError(f"TF_CONFIG: {what}.", right)
    is_chief = kind == "chief" or ("chief" not in cluster and index == 0)
    return Cluster(len(together), is_chief, f"{kind} {index}")


def _is_address(host: object) -> bool:
    return isinstance(host, str) and bool(host.rpartition(":")[0]) and host.split(":")[-1].isdigit()


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


def is_worker_failure(error: Exception) -> bool:
    """Returns whether an error may be TensorFlow's of a worker that is lost."""
    import tensorflow as tf

    # Which one it is depends on what was going on.
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
    """Returns the chief's bytes on every worker; all workers call it at once.

    Args:
        strategy: Of several workers, or of one.
        data: What the chief tells; of the others it is not looked at.
    """
    import numpy as np
    import tensorflow as tf

    if not several_workers(strategy):
        return data
    # Sums and gathers of float32 work on every device. It holds 16 bits of an integer exactly.
    framed = len(data).to_bytes(8, "little") + data + b"\0" * (len(data) % 2)
    numbers = np.frombuffer(framed, "<u2").astype(np.float32)

    def share(context: tf.distribute.ReplicaContext) -> tf.Tensor:
        told = is_chief(strategy) and context.replica_id_in_sync_group == 0
        return tf.constant(numbers if told else numbers[:0])

    values = strategy.experimental_distribute_values_from_function(share)
    gathered = strategy.gather(values, axis=0).numpy().astype("<u2").tobytes()
    length = int.from_bytes(gathered[:8], "little")
    return gathered[8 : 8 + length]


def all_true(strategy: tf.distribute.Strategy, agrees: bool) -> bool:
    """Returns on every worker whether all of them agree; all workers call it at once."""
    import tensorflow as tf

    def vote(context: tf.distribute.ReplicaContext) -> tf.Tensor:
        return tf.constant([float(agrees)])

    votes = strategy.experimental_distribute_values_from_function(vote)
    return bool(strategy.gather(votes, axis=0).numpy().all())


def broadcast_files_from_chief(
    strategy: tf.distribute.Strategy, folder: Path | None, target: Path
) -> None:
    """Copies the files of a folder of the chief's to every other worker.

    They go over the network that the gradients take: workers need no disk in common.

    Args:
        strategy: Of several workers.
        folder: The chief's folder, which holds files alone, or `None` for nothing.
        target: Where the others put them; made where there is something to put.
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
