"""Requests to the published functions: each field's type and default, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

# Arguments of `Poet.write`, all of shape (batch,).
POEM = {
    "theme": ("string", ""),
    "first_line": ("string", ""),
    "acrostic": ("string", ""),
    "line_length": ("int32", 0),
    "template": ("int32", -1),
    "rhyme": ("int32", -1),
    "enforce": ("bool", True),
    "temperature": ("float32", 1.0),
    "top_k": ("int32", 0),
    "top_p": ("float32", 1.0),
    "seed": ("int64", 0),
}
# Arguments of `Writer.write`, all of shape (batch,).
TEXT = {
    "prompt": ("string", ""),
    "length": ("int32", 200),
    "temperature": ("float32", 1.0),
    "top_k": ("int32", 0),
    "top_p": ("float32", 1.0),
    "seed": ("int64", 0),
}
DEFAULTS = {
    form: {name: default for name, (_, default) in fields.items()}
    for form, fields in (("quatrains", POEM), ("text", TEXT))
}
# A template of no tones and no rhyme.
NO_TEMPLATE = -2


def arrays(form: str, count: int, **values: Any) -> dict[str, np.ndarray]:
    """Returns requests as arrays: one value for all, or an array with one value for each.

    Args:
        form: `"quatrains"` or `"text"`.
        count: Number of requests.
        **values: Values of some fields.
    """
    fields = POEM if form == "quatrains" else TEXT
    kinds = {name: object if kind == "string" else kind for name, (kind, _) in fields.items()}
    return {
        name: np.broadcast_to(np.asarray(value, kinds[name]), [count])
        for name, value in values.items()
    }
