"""Deep-learning recipes: Keras layers, models and training loops, and tasks made of them.

Importing this package loads no TensorFlow: the subpackages (`dlrecipes.layers`,
`dlrecipes.models`, ...) are imported when they are first used.
"""

import importlib

__version__ = "0.1.0"

_SUBPACKAGES = ("data", "export", "layers", "losses", "metrics", "models", "recipe", "training")


def __getattr__(name: str):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBPACKAGES})
