"""Requests to the published functions: types, defaults and problems, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

_SAMPLING = {
    "temperature": ("float32", 1.0),
    "top_k": ("int32", 0),
    "top_p": ("float32", 1.0),
    "seed": ("int64", 0),
}
# Type and default of each field, all of shape (batch,), by the form of the model's data.
FIELDS = {
    "quatrains": {
        "theme": ("string", ""),
        "first_line": ("string", ""),
        "acrostic": ("string", ""),
        "line_length": ("int32", 0),
        "template": ("int32", -1),
        "rhyme": ("int32", -1),
        "enforce": ("bool", True),
        **_SAMPLING,
    },
    "text": {"prompt": ("string", ""), "length": ("int32", 200), **_SAMPLING},
}
DEFAULTS = {
    form: {name: default for name, (_, default) in fields.items()}
    for form, fields in FIELDS.items()
}
# Value of `template` for neither tones nor rhyme.
NO_TEMPLATE = -2
# White space and punctuation, which are not part of a poem.
MARKS = r"[\s|/,.!?;:，。！？；：、．]+"
# Names of the tone codes: either, level, oblique.
TONE_NAMES = "*PZ"
# Largest number that a theme adds to a character's score.
MAX_STEERING = 3.0

UNKNOWN_CHARACTERS = "The {} has characters outside the vocabulary: "
TOO_LONG = "The {} has more characters than fit."
UNKNOWN_THEME = "No character of the theme is in the vocabulary."
NO_TEMPLATE_FITS = "No template has these tones and this rhyme."


def arrays(form: str, count: int, **values: Any) -> dict[str, np.ndarray]:
    """Returns requests as arrays.

    Args:
        form: `"quatrains"` or `"text"`.
        count: Number of requests.
        **values: Values of some fields: one for all requests, or an array with one for each.
    """
    kinds = {name: object if kind == "string" else kind for name, (kind, _) in FIELDS[form].items()}
    return {
        name: np.broadcast_to(np.asarray(value, kinds[name]), [count])
        for name, value in values.items()
    }
