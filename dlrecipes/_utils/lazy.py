"""Packages whose public names are imported on first use."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Collection, Mapping
from typing import Any


def attach(package: str, names: Mapping[str, str], packages: Collection[str] = ()) -> None:
    """Makes names of a package available without importing the modules that define them.

    Importing `dlrecipes.export` must not load TensorFlow; using `dlrecipes.export.publish` may.
    A name may equal the name of the module that defines it (`publish` in `publish.py`). The
    package's attribute is then the function, and the module remains available to
    `from dlrecipes.export.publish import ...`.

    Args:
        package: `__name__` of the package.
        names: Defining module of each public name: a module of the package, or a full dotted path.
        packages: Subpackages that are imported on first use. Defaults to none.
    """

    class LazyPackage(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name in packages:
                return importlib.import_module(f"{package}.{name}")
            if name not in names:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            module = names[name] if "." in names[name] else f"{package}.{names[name]}"
            value = getattr(importlib.import_module(module), name)
            super().__setattr__(name, value)
            return value

        def __setattr__(self, name: str, value: object) -> None:
            # The import system assigns each submodule to its package.
            if name in names and isinstance(value, types.ModuleType):
                return
            super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted({*self.__dict__, *names, *packages})

    sys.modules[package].__class__ = LazyPackage
