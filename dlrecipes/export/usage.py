"""How a published model is called: the text of its card, generated from its signatures."""

from __future__ import annotations

import json

import keras
import numpy as np
import tensorflow as tf

from dlrecipes._utils.markdown import table
from dlrecipes.export.signatures import Exports
from dlrecipes.export.version import FILES

# Numbers of a request that a card shows.
SHOWN = 32


def plain_card(name: str, model: keras.Model, exports: Exports) -> str:
    """Returns a card that tells what can be told of any model.

    Args:
        name: What it is called.
        model: The model.
        exports: What is published of it.
    """
    rows = [
        [f"`{signature}`", f"`{spec.name}`", spec.dtype.name, str(spec.shape)]
        for signature, endpoint in exports.signatures.items()
        for spec in endpoint.inputs
    ]
    parts = [
        "---\nlicense: unknown\nlibrary_name: keras\ntags: [tensorflow, litert]\n---\n\n"
        + f"# {name}",
        f"{model.count_params():,} parameters. Every file was loaded again and compared with the "
        "model before this folder appeared.",
        FILES.rstrip(),
        "## Call it\n\n" + table(["signature", "input", "type", "shape"], rows),
        _request(name, exports),
    ]
    return "\n\n".join(parts) + "\n"


def _request(name: str, exports: Exports) -> str:
    """Returns a request as a person would write it, of the default signature."""
    endpoint = exports.signatures.get("serving_default")
    if endpoint is None:
        return ""
    given = {}
    for spec in endpoint.inputs:
        shape = [size or 1 for size in (spec.shape.as_list() if spec.shape.rank else [])]
        if np.prod(shape) > SHOWN:
            return ""
        kind = str if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        given[spec.name] = np.zeros(shape, kind).tolist()
    body = json.dumps({"inputs": given})
    address = f"localhost:8501/v1/models/{name}:predict"
    return f"With `dlrecipes serve`:\n\n```\ncurl -d '{body}' {address}\n```"
