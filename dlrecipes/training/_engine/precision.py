"""Precision of computation: mixed in training, float32 for inference."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from dlrecipes._utils.cpu import multiplies_bfloat16
from dlrecipes._utils.notes import print_note


@contextlib.contextmanager
def built_in(precision: str) -> Iterator[None]:
    """Makes new layers inside the block compute with a given precision.

    On a machine where bfloat16 is slower than float32, it uses float32 and prints a note.

    Args:
        precision: Name of a dtype policy, `"float32"` or `"mixed_bfloat16"`.

    Example:

    >>> import keras
    >>> from dlrecipes.training._engine.precision import built_in
    >>> with built_in("mixed_bfloat16"):
    ...     layer = keras.layers.Dense(2)
    >>> layer.dtype_policy.name in ("mixed_bfloat16", "float32")
    True
    >>> keras.layers.Dense(2).dtype_policy.name
    'float32'
    """
    if precision == "mixed_bfloat16" and _is_slow():
        print_note(
            "--precision mixed_bfloat16: this CPU has no instructions for bfloat16 (avx512_bf16, "
            "amx_bf16), so the run uses float32, which is faster here.",
            once="bfloat16",
        )
        precision = "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _is_slow() -> bool:
    return multiplies_bfloat16() is False and not tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def full_precision(network: keras.Model) -> Iterator[None]:
    """Makes a network compute in float32 inside the block, because LiteRT has no bfloat16.

    Weights are float32 in mixed precision as well, so that nothing is copied.

    Args:
        network: The network.
    """
    layers = [network, *network._flatten_layers(include_self=False)]
    mixed = [layer for layer in layers if layer.dtype_policy.compute_dtype != "float32"]
    before = [layer.dtype_policy for layer in mixed]
    try:
        for layer in mixed:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(mixed, before, strict=True):
            layer.dtype_policy = policy
