"""Output units that measure a distance, as in LeNet-5."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class RBFOutput(keras.layers.Layer):
    """Computes the squared distance of the inputs to the prototype of each unit.

    With `w_i` the prototype of unit `i`, this is a Euclidean radial basis function:

        y_i = sum_j (x_j - w_ij) ** 2

    The unit with the smallest output is the prediction, so `-y` takes the place of logits: `y_i`
    is, up to constants, the negative logarithm of a Gaussian's density around the prototype.
    Prototypes of 1 and -1 are within the range of `ScaledTanh`. By default they are fixed, which
    rules out the useless solution of equal prototypes and inputs. The sum is computed in float32 at
    least, under any dtype policy. Training and inference behave the same.

    Args:
        units: Number of units, at least 1.
        prototypes: Numbers of shape `(units, features)`, in the paper the 7 by 12 bitmaps of the
            characters, row by row, with ink as 1 and paper as -1; `None` for random signs with
            equal probability. Defaults to `None`.
        trainable_prototypes: Whether training changes the prototypes. Defaults to `False`.
        seed: Seed of the random prototypes, an integer or `None`. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Features of shape `(batch, ..., features)`.

    Returns:
        Squared distances, at least 0, of shape `(batch, ..., units)`.

    Raises:
        ValueError: If `units` is not an integer of at least 1, or the prototypes are not of
            shape `(units, features)`.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import RBFOutput
    >>> layer = RBFOutput(2, prototypes=[[1, -1, 1], [-1, -1, -1]])
    >>> keras.ops.convert_to_numpy(layer(keras.ops.array([[1.0, -1.0, 0.0]]))).tolist()
    [[1.0, 5.0]]

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, equation 7. https://doi.org/10.1109/5.726791
    """

    def __init__(
        self,
        units: int,
        prototypes=None,
        trainable_prototypes: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("units", units)
        shape = (units, None) if prototypes is None else np.shape(prototypes)
        if len(shape) != 2 or shape[0] != units:
            raise ValueError(
                f"prototypes must be of shape (units = {units}, features), not {shape}."
            )
        self.units = units
        self.prototypes = prototypes
        self.trainable_prototypes = trainable_prototypes
        self.seed = seed
        self._features = shape[1]
        self.supports_masking = True

    def build(self, input_shape):
        if self._features not in (None, input_shape[-1]):
            raise ValueError(
                f"prototypes must have the shape (units, {input_shape[-1]}) for inputs of "
                f"{input_shape[-1]} features, not {np.shape(self.prototypes)}."
            )
        self.kernel = self.add_weight(
            (self.units, input_shape[-1]),
            self._initial_kernel,
            trainable=self.trainable_prototypes,
            autocast=False,
            name="kernel",
        )

    def call(self, inputs):
        # The difference is taken before the square: |x|^2 - 2 x.w + |w|^2 would lose all
        # precision at small distances, which decide the prediction.
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        distances = ops.square(ops.expand_dims(x, -2) - ops.cast(self.kernel, x.dtype))
        return ops.cast(ops.sum(distances, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        prototypes = None if self.prototypes is None else np.asarray(self.prototypes).tolist()
        return {
            **super().get_config(),
            "units": self.units,
            "prototypes": prototypes,
            "trainable_prototypes": self.trainable_prototypes,
            "seed": self.seed,
        }

    def _initial_kernel(self, shape, dtype=None):
        if self.prototypes is not None:
            return ops.convert_to_tensor(np.asarray(self.prototypes), dtype=dtype)
        values = keras.initializers.RandomUniform(-1.0, 1.0, self.seed)(shape, dtype=dtype)
        return ops.where(values < 0, -ops.ones_like(values), ops.ones_like(values))
