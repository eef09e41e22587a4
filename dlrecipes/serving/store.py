"""The models of a folder: which versions there are, loaded, served and let go."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlrecipes.errors import reason
from dlrecipes.export.version import version_folders
from dlrecipes.serving.servable import Servable
from dlrecipes.serving.status import RequestError

# States of TensorFlow Serving, in the order that a version goes through them.
LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"
# Ended versions of a model that are still told of.
REMEMBERED = 20


@dataclass
class Version:
    """What is known of one version.

    Args:
        number: The version.
        state: One of `LOADING`, `AVAILABLE`, `UNLOADING`, `END`.
        servable: The loaded model while there is one.
        problem: Why it could not be loaded, or empty.
        stamp: What its files are, to see whether a broken one was mended.
        using: Requests that it answers now.
    """

    number: int
    state: str = LOADING
    servable: Servable | None = None
    problem: str = ""
    stamp: tuple[Any, ...] = ()
    using: int = 0


@dataclass
class Model:
    """The versions of one model, and those that have names."""

    versions: dict[int, Version] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)

    def available(self) -> list[int]:
        """Returns the versions that answer requests, oldest first."""
        return sorted(n for n, one in self.versions.items() if one.state == AVAILABLE)


class ModelStore:
    """Serves the latest version of each model in a folder, and those that have a label.

    A new version is loaded beside the old one, which answers until then and ends the requests
    it has begun. One that cannot be loaded is told of, and the last good one stays.

    Args:
        folder: Holds a folder a model, with a folder a version (a SavedModel) in each.
        labels: By model, versions by label.
        load: What loads a version, by name, number and folder.
    """

    def __init__(
        self,
        folder: Path,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        load: Callable[[str, int, Path], Any] = Servable,
    ):
        self.folder = folder
        self.labels = labels or {}
        self.load = load
        self.models: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._say: Callable[[str], None] = lambda line: None
        self._watcher: threading.Thread | None = None

    def watch(self, seconds: float) -> None:
        """Looks for new versions every so many seconds, in a thread of its own, and says so."""
        self._say = _note

        def look() -> None:
            while not self._ending.wait(seconds):
                try:
                    self.refresh()
                except Exception as error:
                    # A folder that cannot be read now can be read later.
                    _note(f"{self.folder}: {error}")

        self._watcher = threading.Thread(target=look, name="versions", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Ends the watch."""
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join(timeout=10)

    def refresh(self) -> None:
        """Loads what is new, and lets go what is replaced."""
        names = set(self.models)
        with contextlib.suppress(OSError):
            names |= {path.name for path in self.folder.iterdir() if path.is_dir()}
        for name in sorted(names):
            there = version_folders(self.folder / name)
            if there or name in self.models:
                self._refresh(name, there)

    def _refresh(self, name: str, there: Mapping[int, Path]) -> None:
        with self._lock:
            model = self.models.setdefault(name, Model(labels=self.labels.get(name, {})))
        # A version whose folder was taken away is let go, whatever it is called.
        labelled = set(model.labels.values()) & set(there)
        # The newest that can be loaded; older ones only where there is none.
        for number, folder in sorted(there.items(), reverse=True):
            if self._loaded(name, model, number, folder):
                break
        for number in labelled:
            self._loaded(name, model, number, there[number])
        with self._lock:
            usable = [n for n in model.available() if n in there] or model.available()
            kept = ({usable[-1]} if usable else set()) | labelled
            for number in model.available():
                if number not in kept:
                    self._let_go(model.versions[number])
                    self._say(f"{name}: version {number} is let go")
            # One that is broken is remembered while it is there, or it would be tried again.
            ended = [
                number
                for number, one in sorted(model.versions.items())
                if one.state == END and not (one.problem and number in there)
            ]
            for number in ended[:-REMEMBERED]:
                del model.versions[number]

    def _loaded(self, name: str, model: Model, number: int, folder: Path) -> bool:
        """Returns whether a version answers; loads it where it was not tried as it is now."""
        version = model.versions.get(number)
        if version is not None and version.state == AVAILABLE:
            return True
        stamp = _stamp(folder)
        if version is not None and version.problem and version.stamp == stamp:
            return False
        with self._lock:
            version = model.versions[number] = Version(number, LOADING, stamp=stamp)
        try:
            servable = self.load(name, number, folder)
        except Exception as error:
            with self._lock:
                version.state, version.problem = END, reason(error)
            _note(f"{folder} cannot be loaded and is not served: {version.problem}")
            return False
        with self._lock:
            version.state, version.servable = AVAILABLE, servable
        self._say(f"{name}: version {number} is served")
        return True

    @contextlib.contextmanager
    def using(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> Iterator[Servable]:
        """Yields a model's version, which stays while the block runs.

        Args:
            name: The model.
            number: The version; the latest without.
            label: Or the version's label.

        Raises:
            RequestError: If it is not there.
        """
        with self._lock:
            model = self.models.get(name)
            version = self._find(name, model, _labelled(model, number, label))
            version.using += 1
        try:
            yield version.servable
        finally:
            with self._lock:
                version.using -= 1
                if version.state == UNLOADING and not version.using:
                    self._end(version)

    def _find(self, name: str, model: Model | None, number: int | None) -> Version:
        which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
        usable = model.available() if model is not None else []
        if not usable or (number is not None and number not in usable):
            raise RequestError(f"Servable not found for request: {which}", "NOT_FOUND")
        return model.versions[usable[-1] if number is None else number]

    def status(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> list[dict[str, Any]]:
        """Returns the states of a model's versions, newest first, as TensorFlow Serving does.

        Raises:
            RequestError: If there is no such model or version.
        """
        with self._lock:
            model = self.models.get(name)
            number = _labelled(model, number, label)
            found = sorted(model.versions.items(), reverse=True) if model is not None else []
            found = [one for n, one in found if number in (None, n)]
            if not found:
                what = f"model with name {name}" + ("" if number is None else f" and {number}")
                raise RequestError(f"Could not find any versions of {what}", "NOT_FOUND")
            return [
                {
                    "version": str(one.number),
                    "state": one.state,
                    "status": {
                        "error_code": "UNKNOWN" if one.problem else "OK",
                        "error_message": one.problem,
                    },
                }
                for one in found
            ]

    def latest(self) -> dict[str, int]:
        """Returns the models that answer requests, with the version that does."""
        with self._lock:
            found = {name: model.available() for name, model in sorted(self.models.items())}
        return {name: usable[-1] for name, usable in found.items() if usable}

    def missing_labels(self) -> list[str]:
        """Returns, as text, the labels whose versions are not served."""
        with self._lock:
            return [
                f"{label} is version {number} of {name}, which is not served"
                for name, labels in self.labels.items()
                for label, number in labels.items()
                if name not in self.models or number not in self.models[name].available()
            ]

    def _let_go(self, version: Version) -> None:
        version.state = UNLOADING
        if not version.using:
            self._end(version)

    def _end(self, version: Version) -> None:
        version.state, version.servable = END, None


def _note(line: str) -> None:
    # Whoever reads it may have gone; models are watched all the same.
    with contextlib.suppress(OSError, ValueError):
        print(f"Note: {line}", file=sys.stderr, flush=True)


def _labelled(model: Model | None, number: int | None, label: str | None) -> int | None:
    """Returns the version that a request wants, by number or by label."""
    if label is None or model is None:
        return number
    if label not in model.labels:
        raise RequestError(f"Unrecognized servable version label: {label}")
    return model.labels[label]


def _stamp(folder: Path) -> tuple[Any, ...]:
    """Returns what a version's files are; of one that is being copied it moves on."""
    found = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            told = path.stat()
            found.append((path.as_posix(), told.st_mtime, told.st_size))
    return tuple(found)
