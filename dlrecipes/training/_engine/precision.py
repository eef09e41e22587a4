"""What networks compute in: bfloat16 in training, float32 where they are used."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def built_in(precision: str) -> Iterator[None]:
    """Has layers that are made inside the block compute in a precision.

    Args:
        precision: Name of a dtype policy, `"float32"` or `"mixed_bfloat16"`.

    Example:

    >>> with built_in("mixed_bfloat16"):
    ...     layer = keras.layers.Dense(2)
    >>> layer.compute_dtype, keras.layers.Dense(2).compute_dtype
    ('bfloat16', 'float32')
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def full_precision(network: keras.Model) -> Iterator[None]:
    """Has a network compute in float32 inside the block: LiteRT has no bfloat16.

    Its weights are float32 in mixed precision, too: nothing is copied.

    Args:
        network: The network.
    """
    found = [network, *network._flatten_layers(include_self=False)]
    mixed = [one for one in found if one.dtype_policy.compute_dtype != "float32"]
    before = [one.dtype_policy for one in mixed]
    try:
        for one in mixed:
            one.dtype_policy = "float32"
        yield
    finally:
        for one, policy in zip(mixed, before, strict=True):
            one.dtype_policy = policy
