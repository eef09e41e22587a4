"""A penalty on filters that are not orthogonal to one another."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number

MODES = ("off_diagonal", "identity")


@keras.saving.register_keras_serializable(package="dlrecipes")
class OrthogonalRegularizer(keras.regularizers.Regularizer):
    """Penalises the inner products between the filters of a weight.

    A weight of any rank is read as a matrix `W` whose columns are its filters.

        off_diagonal:  factor * |W^T W * (1 - I)|^2
        identity:      factor * |W^T W - I|^2

    with `*` element by element and `||` the Frobenius norm. `"off_diagonal"` favours orthogonal
    filters of any length; `"identity"` also favours a length of 1.
    `keras.regularizers.OrthogonalRegularizer` is a different function, of normalised vectors and
    absolute values, and supports only matrices. More filters than rows cannot all be orthogonal,
    and the penalty is then 0 only for filters of zeros. It is computed in float32 at least. `fit`
    adds it to the loss; a custom `train_step` adds the layer's `losses`.

    Args:
        factor: Factor of the penalty, at least 0. Defaults to 1e-4.
        mode: `"off_diagonal"` or `"identity"`. Defaults to `"off_diagonal"`.
        axis: Axis of the weight that indexes the filters: -1 in Keras' layers, -2 in the transposed
            convolutions. Defaults to -1.

    Call arguments:
        x: Weight of rank 2 or more and of known shape.

    Returns:
        The penalty, a scalar.

    Raises:
        ValueError: If `factor` is below 0, `mode` is not one of the names above, `axis` is not an
            integer, or a weight has fewer than two axes or lacks that axis.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import OrthogonalRegularizer
    >>> kernel = keras.ops.array([[1.0, 1.0], [0.0, 2.0]])
    >>> float(OrthogonalRegularizer(factor=0.5)(kernel))  # the products off the diagonal are 1
    1.0
    >>> float(OrthogonalRegularizer(factor=0.5, mode="identity")(kernel))  # and one of 5 on it
    9.0

    Reference:
        Brock, Donahue and Simonyan, 2019, "Large scale GAN training for high fidelity natural image
        synthesis", section 3.1, equations 2 (identity) and 3 (off-diagonal).
        https://arxiv.org/abs/1809.11096
    """

    def __init__(self, factor: float = 1e-4, mode: str = "off_diagonal", axis: int = -1):
        number("factor", factor, "at least 0", lambda x: x >= 0)
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}.")
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
                f"the weight must have at least two axes, including axis {self.axis}, "
                f"not shape {tuple(x.shape)}."
            )
        filters = ops.moveaxis(ops.convert_to_tensor(x), self.axis, -1)
        w = ops.reshape(filters, (-1, filters.shape[-1]))
        w = ops.cast(w, keras.backend.result_type(w.dtype, "float32"))
        products = ops.matmul(ops.transpose(w), w)
        identity = ops.eye(filters.shape[-1], dtype=w.dtype)
        excess = products - identity if self.mode == "identity" else products * (1 - identity)
        return self.factor * ops.sum(ops.square(excess))

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode, "axis": self.axis}
