"""Keras finds the classes of this package by their names, without their being imported before."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# The module in which Keras keeps the classes that `register_keras_serializable` registers.
REGISTRY = "keras.src.saving.object_registration"
ATTRIBUTE = "GLOBAL_CUSTOM_OBJECTS"
PREFIX = "dlrecipes>"
# Modules that register classes and functions.
MODULES = ("data.text", "layers", "losses", "metrics", "models", "training")


class LazyRegistry(dict):
    """Registered classes by name; imports this package when one of its names is looked up."""

    def __contains__(self, name: object) -> bool:
        """Returns whether a name is registered, after importing what registers it."""
        if not super().__contains__(name) and isinstance(name, str) and name.startswith(PREFIX):
            for module in MODULES:
                importlib.import_module(f"dlrecipes.{module}")
        return super().__contains__(name)


def install() -> None:
    """Lets `keras.saving.load_model` load models of this package after `import dlrecipes` alone.

    Neither Keras nor TensorFlow is imported for it. If a version of Keras has another registry,
    nothing changes: classes are found when their modules were imported.
    """
    module = sys.modules.get(REGISTRY)
    if module is not None:
        _replace(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _replace(module: ModuleType) -> None:
    registry = getattr(module, ATTRIBUTE, None)
    if type(registry) is dict:
        setattr(module, ATTRIBUTE, LazyRegistry(registry))


class _Finder(importlib.abc.MetaPathFinder):
    """Waits for Keras' registry to be imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != REGISTRY:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, and then replaces the registry in it."""

    def __init__(self, loader: Any):
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        module.__loader__ = self.loader
        _replace(module)
