"""Loads, serves and unloads the versions of the models in a folder."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlrecipes.errors import reason
from dlrecipes.export.version_folders import subfolders, version_folders, version_number
from dlrecipes.serving.log import note
from dlrecipes.serving.servable import Servable
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.version_files import stamp

# TensorFlow Serving's states, in the order in which a version passes through them.
LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"
# Number of ended versions per model that the status still reports.
REMEMBERED = 20


@dataclass
class Version:
    """The state of one version.

    Args:
        number: Number of the version.
        state: `LOADING`, `AVAILABLE`, `UNLOADING` or `END`. Defaults to `LOADING`.
        servable: Loaded model, or `None` if there is none. Defaults to `None`.
        problem: Reason why the version could not be loaded, or empty. Defaults to empty.
        stamp: Names, times and sizes of its files, which show whether a broken version was
            repaired. Defaults to no files.
        using: Number of requests in progress. Defaults to 0.
    """

    number: int
    state: str = LOADING
    servable: Servable | None = None
    problem: str = ""
    stamp: tuple[Any, ...] = ()
    using: int = 0


@dataclass
class Model:
    """The versions of one model, and its labels."""

    versions: dict[int, Version] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)

    def available(self) -> list[int]:
        """Returns the numbers of the versions that answer requests, in ascending order."""
        return sorted(n for n, version in self.versions.items() if version.state == AVAILABLE)


class ModelStore:
    """Serves the latest version of each model in a folder, and the versions that have a label.

    The old version keeps answering while a new one loads, and is unloaded once its last request
    has finished. If a version cannot be loaded, the reason is reported and the last version that
    could be loaded stays.

    Args:
        folder: Folder with one folder per model; each contains one folder per version, which is
            a SavedModel.
        labels: Versions by label, by model. Defaults to no labels.
        load: Function that loads a version from the model's name, the number and the folder.
            Defaults to `None`: `load_and_warm_up`, which loads the SavedModel.
    """

    def __init__(
        self,
        folder: Path,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        load: Callable[[str, int, Path], Any] | None = None,
    ):
        self.folder = folder
        self.labels = labels or {}
        if load is None:
            from dlrecipes.serving.warm_up import load_and_warm_up

            load = load_and_warm_up
        self.load = load
        self.models: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._report: Callable[[str], None] = lambda line: None
        self._watcher: threading.Thread | None = None
        self._noted: set[str] = set()

    def watch(self, seconds: float) -> None:
        """Starts a thread that calls `refresh` periodically and reports changes.

        Args:
            seconds: Interval in seconds.
        """
        self._report = note

        def poll() -> None:
            while not self._ending.wait(seconds):
                try:
                    self.refresh()
                except Exception as error:
                    # The folder may become readable again.
                    self._note_once(f"{self.folder}: {error}")

        self._watcher = threading.Thread(target=poll, name="versions", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stops the thread that `watch` started."""
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join(timeout=10)

    def refresh(self) -> None:
        """Loads new versions, and unloads those that they replace."""
        self._note_unreadable(self.folder)
        names = {path.name for path in subfolders(self.folder) if self._is_served(path)}
        for name in sorted(names | set(self.models)):
            folder = self.folder / name
            folders = version_folders(folder)
            if name in names:
                self._note_unserved(folder)
            if folders or name in self.models:
                self._refresh(name, folders)

    def _is_served(self, folder: Path) -> bool:
        """Returns whether a folder may be a model; notes why a folder of versions is not."""
        if folder.name.startswith("."):
            problem = "its name begins with a dot"
        elif ":" in folder.name:
            problem = "its name has a colon, which ends the name in an address"
        elif not _is_utf8(folder.name):
            problem = "its name is not UTF-8, so that no request can name it"
        else:
            return True
        if version_folders(folder):
            self._note_once(f"{folder} is not served: {problem}")
        return False

    def _note_unserved(self, folder: Path) -> None:
        """Notes once what is not served of a model's folder."""
        self._note_unreadable(folder)
        for path in subfolders(folder):
            digits = path.name.isascii() and path.name.isdigit()
            if digits and version_number(path.name) is None:
                self._note_once(f"{path} is not served: the number does not fit into 64 bits")

    def _note_unreadable(self, folder: Path) -> None:
        try:
            os.scandir(folder).close()
        except OSError as error:
            self._note_once(f"{folder} cannot be read: {reason(error)}")

    def _note_once(self, line: str) -> None:
        if line not in self._noted:
            self._noted.add(line)
            note(line)

    def _refresh(self, name: str, folders: Mapping[int, Path]) -> None:
        with self._lock:
            model = self.models.setdefault(name, Model(labels=self.labels.get(name, {})))
        # A version whose folder was deleted is unloaded even if it has a label.
        labelled = set(model.labels.values()) & set(folders)
        # Load the latest version; fall back to earlier ones only if it cannot be loaded.
        for number, folder in sorted(folders.items(), reverse=True):
            if self._ensure_loaded(name, model, number, folder):
                break
        for number in labelled:
            self._ensure_loaded(name, model, number, folders[number])
        with self._lock:
            usable = [n for n in model.available() if n in folders] or model.available()
            kept = ({usable[-1]} if usable else set()) | labelled
            for number in model.available():
                if number not in kept:
                    self._unload(model.versions[number])
                    self._report(f"{name}: version {number} is no longer served")
            # A broken version is remembered while its folder exists, so that it is not retried.
            ended = [
                number
                for number, version in sorted(model.versions.items())
                if version.state == END and not (version.problem and number in folders)
            ]
            for number in ended[:-REMEMBERED]:
                del model.versions[number]

    def _ensure_loaded(self, name: str, model: Model, number: int, folder: Path) -> bool:
        """Returns whether a version is available.

        Loads it if necessary, unless it failed to load before and its files have not changed.
        """
        version = model.versions.get(number)
        if version is not None and version.state == AVAILABLE:
            return True
        files = stamp(folder)
        if version is not None and version.problem and version.stamp == files:
            return False
        with self._lock:
            version = model.versions[number] = Version(number, LOADING, stamp=files)
        try:
            servable = self.load(name, number, folder)
        except Exception as error:
            with self._lock:
                version.state, version.problem = END, reason(error)
            note(f"{folder} cannot be loaded and is not served: {version.problem}")
            return False
        with self._lock:
            version.state, version.servable = AVAILABLE, servable
        self._report(f"{name}: version {number} is served")
        return True

    @contextlib.contextmanager
    def using(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> Iterator[Servable]:
        """Yields a version of a model, which stays loaded while the block runs.

        Args:
            name: Name of the model.
            number: Number of the version. Defaults to the latest version.
            label: Label of the version, instead of its number.

        Raises:
            RequestError: If there is no such model, version or label.
        """
        with self._lock:
            model = self.models.get(name)
            version = self._find(name, model, _resolve_label(model, number, label))
            version.using += 1
        assert version.servable is not None
        try:
            yield version.servable
        finally:
            with self._lock:
                version.using -= 1
                if version.state == UNLOADING and not version.using:
                    self._release(version)

    def _find(self, name: str, model: Model | None, number: int | None) -> Version:
        which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
        usable = model.available() if model is not None else []
        if model is None or not usable or (number is not None and number not in usable):
            raise RequestError(f"Servable not found for request: {which}", "NOT_FOUND")
        return model.versions[usable[-1] if number is None else number]

    def status(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> list[dict[str, Any]]:
        """Returns the states of a model's versions, latest first, in TensorFlow Serving's form.

        Args:
            name: Name of the model.
            number: Number of a single version. Defaults to all versions.
            label: Label of a single version, instead of its number.

        Raises:
            RequestError: If there is no such model, version or label.
        """
        with self._lock:
            model = self.models.get(name)
            number = _resolve_label(model, number, label)
            items = sorted(model.versions.items(), reverse=True) if model is not None else []
            versions = [version for n, version in items if number in (None, n)]
            if not versions:
                what = f"model with name {name}" + ("" if number is None else f" and {number}")
                raise RequestError(f"Could not find any versions of {what}", "NOT_FOUND")
            return [
                {
                    "version": str(version.number),
                    "state": version.state,
                    "status": {
                        "error_code": "UNKNOWN" if version.problem else "OK",
                        "error_message": version.problem,
                    },
                }
                for version in versions
            ]

    def latest(self) -> dict[str, int]:
        """Returns the latest available version of each model that has one."""
        with self._lock:
            numbers = {name: model.available() for name, model in sorted(self.models.items())}
        return {name: available[-1] for name, available in numbers.items() if available}

    def missing_labels(self) -> list[str]:
        """Returns a message for each label whose version is not served."""
        with self._lock:
            return [
                f"{label} is version {number} of {name}, which is not served"
                for name, labels in self.labels.items()
                for label, number in labels.items()
                if name not in self.models or number not in self.models[name].available()
            ]

    def _unload(self, version: Version) -> None:
        version.state = UNLOADING
        if not version.using:
            self._release(version)

    def _release(self, version: Version) -> None:
        version.state, version.servable = END, None


def _resolve_label(model: Model | None, number: int | None, label: str | None) -> int | None:
    """Returns the number of the requested version, or `None` for the latest."""
    if label is None or model is None:
        return number
    if label not in model.labels:
        raise RequestError(f"Unrecognized servable version label: {label}")
    return model.labels[label]


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
