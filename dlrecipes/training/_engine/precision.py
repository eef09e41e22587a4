"""Precision of computation: mixed in training, float32 for inference."""

import contextlib
import os
import platform
from collections.abc import Iterator
from contextvars import ContextVar

import keras
import tensorflow as tf

from dlrecipes._utils.cpu import multiplies_bfloat16
from dlrecipes._utils.notes import print_note

_FOR_INFERENCE = ContextVar("for_inference", default=False)


@contextlib.contextmanager
def built_in(precision: str) -> Iterator[None]:
    """Makes new layers inside the block compute with a given precision.

    `"auto"` is `"mixed_bfloat16"` where TensorFlow multiplies bfloat16 by instructions of the CPU,
    and `"float32"` elsewhere. Where the CPU has no such instructions, `"mixed_bfloat16"` is
    replaced by `"float32"`. A note says so, and also where `"auto"` is `"mixed_bfloat16"`. Inside
    `for_inference`, it is always `"float32"`.

    Args:
        precision: `"auto"`, or the name of a dtype policy, `"float32"` or `"mixed_bfloat16"`.

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
    chosen = "float32" if _FOR_INFERENCE.get() else _chosen(precision)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(chosen)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def for_inference() -> Iterator[None]:
    """Makes `built_in` choose float32 inside the block."""
    token = _FOR_INFERENCE.set(True)
    try:
        yield
    finally:
        _FOR_INFERENCE.reset(token)


def is_mixed(model: keras.Model) -> bool:
    """Returns whether a layer of a model computes in less than float32."""
    return any(layer.compute_dtype in ("bfloat16", "float16") for layer in model._flatten_layers())


def _chosen(precision: str) -> str:
    """Returns the dtype policy for a setting, and prints what the setting does not say."""
    if precision == "auto":
        if not _is_fast():
            return "float32"
        print_note(
            "--precision auto: trains in mixed_bfloat16, for which this CPU has instructions.",
            once="bfloat16",
        )
        return "mixed_bfloat16"
    if precision == "mixed_bfloat16" and _is_slow():
        print_note(
            "--precision mixed_bfloat16: this CPU has no instructions for bfloat16 (avx512_bf16, "
            "amx_bf16), so the run uses float32, which is faster here.",
            once="bfloat16",
        )
        return "float32"
    return precision


def _is_fast() -> bool:
    # Without oneDNN, TensorFlow does not use these instructions. Its ARM kernels were not measured.
    return (
        multiplies_bfloat16() is True
        and platform.machine() in ("x86_64", "AMD64")
        and os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() not in ("0", "false")
        and not tf.config.list_physical_devices("GPU")
    )


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
