"""The precision of what 16 bits are too few for."""

from keras import ops


def exact_dtype(layer) -> str:
    """Returns float32, or float64 where a layer's weights have that."""
    return "float64" if layer.variable_dtype == "float64" else "float32"


def exact(layer, x):
    """Returns numbers or a weight in a layer's `exact_dtype`."""
    return ops.cast(x, exact_dtype(layer))
