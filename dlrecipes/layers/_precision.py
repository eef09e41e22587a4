"""The precision of computations for which 16 bits are not enough."""

from keras import ops


def exact_dtype(layer) -> str:
    """Returns float64 if a layer's weights are float64, otherwise float32."""
    return "float64" if layer.variable_dtype == "float64" else "float32"


def exact(layer, x):
    """Casts numbers or a weight to a layer's `exact_dtype`."""
    return ops.cast(x, exact_dtype(layer))
