"""Runs each signature of a new version before requests arrive, because the first run is slow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlrecipes.errors import reason
from dlrecipes.export import reference_outputs
from dlrecipes.export.checksums import EXAMPLES_FILE
from dlrecipes.export.version import EXTRAS, WARMUP_FILE
from dlrecipes.export.warmup_requests import WarmupRequest, read_warmup_requests
from dlrecipes.serving.log import note
from dlrecipes.serving.servable import Servable
from dlrecipes.serving.status import RequestError

# TensorFlow Serving's limit on the number of requests, and a limit on their time, in seconds.
MAX_REQUESTS, MAX_SECONDS = 1000, 30.0
# Larger files of examples are not read, in bytes.
LARGEST_EXAMPLES = 64 * 2**20


def load_and_warm_up(name: str, version: int, folder: Path) -> Servable:
    """Loads a version and warms it. A problem with its warm-up is printed as a note.

    Args:
        name: Name of the model.
        version: Number of the version.
        folder: Folder of the version, which is a SavedModel.

    Raises:
        OSError, ValueError, tf.errors.OpError: If the SavedModel cannot be loaded.
    """
    servable = Servable(name, version, folder)
    if problem := warm_up(servable, folder):
        note(f"{folder} is served, but its warm-up failed: {problem}")
    return servable


def warm_up(servable: Servable, folder: Path) -> str:
    """Runs the requests that are kept with a version: warm-up requests, or else its examples.

    A failed request does not stop the others. TensorFlow Serving does not serve such a version;
    here it is served, because a slow first answer is better than none.

    Args:
        servable: The loaded version.
        folder: Folder of the version.

    Returns:
        The first problem, or an empty text if there was none.
    """
    problems: list[str] = []
    stopped = threading.Event()
    # A run cannot be interrupted, but it must not keep the version from being served.
    thread = threading.Thread(
        target=_run_all, args=(servable, folder, problems, stopped), name="warm-up", daemon=True
    )
    thread.start()
    thread.join(MAX_SECONDS)
    if thread.is_alive():
        stopped.set()
        return f"it took more than {MAX_SECONDS:g} s"
    return problems[0] if problems else ""


def _run_all(
    servable: Servable, folder: Path, problems: list[str], stopped: threading.Event
) -> None:
    try:
        for count, request in enumerate(_requests(folder)):
            if stopped.is_set():
                return
            if count == MAX_REQUESTS:
                problems.append(f"there are more than {MAX_REQUESTS} requests")
                return
            try:
                _run(servable, request)
            except RequestError as error:
                problems.append(error.message)
    except Exception as error:
        # The file may be damaged in many ways.
        problems.append(reason(error))


def _requests(folder: Path) -> Iterator[WarmupRequest]:
    if (folder / EXTRAS / WARMUP_FILE).exists():
        yield from read_warmup_requests(folder / EXTRAS / WARMUP_FILE)
    elif (folder / EXTRAS / EXAMPLES_FILE).exists():
        if (folder / EXTRAS / EXAMPLES_FILE).stat().st_size > LARGEST_EXAMPLES:
            raise ValueError(f"{EXAMPLES_FILE} is larger than {LARGEST_EXAMPLES >> 20} MiB")
        text = (folder / EXTRAS / EXAMPLES_FILE).read_text(encoding="utf-8")
        for name, references in json.loads(text).get("signatures", {}).items():
            for reference in references:
                yield WarmupRequest(name, reference_outputs.inputs(reference))


def _run(servable: Servable, request: WarmupRequest) -> None:
    signature = servable.signature(request.signature)
    inputs = request.inputs
    if inputs is None:
        inputs = {name: np.array(request.examples, object) for name in signature.inputs}
    signature.check_names(inputs)
    signature.run(inputs)
