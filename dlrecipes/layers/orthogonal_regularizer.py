"""A penalty on filters that are not at right angles to one another."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number

MODES = ("off_diagonal", "identity")


@keras.saving.register_keras_serializable(package="dlrecipes")
class OrthogonalRegularizer(keras.regularizers.Regularizer):
    """Penalises the products of a weight's filters with one another.

    The weight is read as a matrix `W` whose columns are its filters, whatever its rank.

        off_diagonal:  factor * |W^T W * (1 - I)|^2
        identity:      factor * |W^T W - I|^2

    with `*` element by element and `||` the Frobenius norm. `"off_diagonal"` wants right
    angles and leaves the filters' lengths alone; `"identity"` wants them to be 1 too.
    `keras.regularizers.OrthogonalRegularizer` is another function, of normalised vectors and
    absolute values, and takes matrices alone. Where there are more filters than rows they
    cannot all be orthogonal, and the penalty cannot be 0 but for filters of zeros. It is
    computed in float32 at least. `fit` adds it to the loss: a `train_step` of one's own does
    so with the layer's `losses`.

    Args:
        factor: What the penalty is multiplied by, at least 0.
        mode: `"off_diagonal"` or `"identity"`.
        axis: The axis of the weight that numbers the filters: -1 in Keras' layers, -2 in the
            transposed convolutions.

    Call arguments:
        x: The weight, of rank 2 or more and of known shape.

    Returns:
        The penalty, a scalar.

    Raises:
        ValueError: If `factor` is below 0, `mode` is not one of those named, `axis` is not an
            integer, or a weight has fewer than two axes or lacks that one.

    Example:

    >>> kernel = keras.ops.array([[1.0, 1.0], [0.0, 2.0]])
    >>> float(OrthogonalRegularizer(factor=0.5)(kernel))  # the products off the diagonal are 1
    1.0
    >>> float(OrthogonalRegularizer(factor=0.5, mode="identity")(kernel))  # and one of 5 on it
    9.0

    Reference:
        Brock, Donahue and Simonyan, 2019, "Large scale GAN training for high fidelity natural
        image synthesis", section 3.1, equations 2 (identity) and 3 (off the diagonal).
    """

    def __init__(self, factor: float = 1e-4, mode: str = "off_diagonal", axis: int = -1):
        number("factor", factor, "at least 0", lambda x: x >= 0)
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is not one of {', '.join(MODES)}.")
        if not isinstance(axis, int):
            raise ValueError(f"axis must be an integer, not {axis!r}.")
        self.factor = factor
        self.mode = mode
        self.axis = axis

    def __call__(self, x):
        """Returns the penalty of a weight."""
        rank = len(x.shape)
        if rank < 2 or not -rank <= self.axis < rank:
            raise ValueError(
                f"the weight must have at least two axes, axis {self.axis} among them, "
                f"not the shape {tuple(x.shape)}."
            )
        filters = ops.moveaxis(ops.convert_to_tensor(x), self.axis, -1)
        w = ops.reshape(filters, (-1, filters.shape[-1]))
        w = ops.cast(w, keras.backend.result_type(w.dtype, "float32"))
        products = ops.matmul(ops.transpose(w), w)
        identity = ops.eye(filters.shape[-1], dtype=w.dtype)
        wrong = products - identity if self.mode == "identity" else products * (1 - identity)
        return self.factor * ops.sum(ops.square(wrong))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"factor": self.factor, "mode": self.mode, "axis": self.axis}
