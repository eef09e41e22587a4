"""Feed-forward networks: Rosenblatt's perceptron and multilayer perceptrons."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import ThresholdUnit
from dlrecipes.models._arguments import check_integer_lists, check_integers, check_rates
from dlrecipes.models.images import nth_seed


def perceptron(
    num_features: int,
    units: int = 1,
    weights: Sequence | None = None,
    threshold: float | Sequence[float] = 0.0,
    output: str = "binary",
    name: str = "perceptron",
) -> keras.Model:
    """Builds a perceptron: one layer of threshold units.

    The weights are in the layer `threshold_unit`. They have no gradient; they are passed as
    arguments or trained by Rosenblatt's rule. For an example `x` with output `y` and target `t`,
    the rule adds the outer product of `x` and `t - y` to the `kernel` and subtracts `t - y` from
    the thresholds.

    Args:
        num_features: Number of inputs, at least 1.
        units: Number of units, at least 1. Defaults to 1.
        weights: Initial weights, of shape `(num_features, units)`, or `(num_features,)` for one
            unit. Defaults to `None`, all zero.
        threshold: Initial threshold: one number for all units, or one for each. Defaults to 0.
        output: `"binary"` for 0 and 1, or `"bipolar"` for -1 and 1. Defaults to `"binary"`.
        name: Model name. Defaults to `"perceptron"`.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, num_features)`. Output:
        the units' outputs, of shape `(batch, units)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, `output` is not one of the listed
            ones, or `weights` or `threshold` has another shape.

    Example:

    >>> import keras
    >>> from dlrecipes.models import perceptron
    >>> logical_or = perceptron(2, weights=[1, 1], threshold=1)
    >>> y = logical_or(keras.ops.array([[0.0, 0.0], [0.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[0.0], [1.0]]

    Reference:
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain". https://doi.org/10.1037/h0042519
    """
    check_integers(num_features=num_features)
    x = keras.Input((num_features,), name="features")
    layer = ThresholdUnit(units, weights, threshold, output, name="threshold_unit")
    return keras.Model(x, layer(x), name=name)


def mlp(
    input_shape: Sequence[int] = (28, 28, 1),
    num_outputs: int = 10,
    hidden_units: Sequence[int] = (300, 100),
    activation="tanh",
    dropout: float = 0.0,
    output_activation=None,
    seed: int | None = None,
    name: str = "mlp",
) -> keras.Model:
    """Builds a multilayer perceptron: fully connected layers in sequence.

    The default sizes are those of the two-layer network that LeNet-5 was compared with, often
    called LeNet-300-100; it has 266,610 parameters.

    Args:
        input_shape: Shape of an example; several axes are flattened. Defaults to `(28, 28, 1)`.
        num_outputs: Number of outputs, at least 1. Defaults to 10.
        hidden_units: Units of each hidden layer, each at least 1; an empty tuple gives a linear
            model. Defaults to `(300, 100)`.
        activation: Activation of the hidden layers. Defaults to `"tanh"`.
        dropout: Dropout rate after each hidden layer, in [0, 1). Defaults to 0.
        output_activation: Activation of the outputs. Defaults to `None`, which gives logits.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"mlp"`.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, *input_shape)`. Output:
        scores of shape `(batch, num_outputs)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, or `dropout` is not in [0, 1).

    Example:

    >>> import keras
    >>> from dlrecipes.models import mlp
    >>> model = mlp((4,), num_outputs=3, hidden_units=(5,))
    >>> tuple(model(keras.ops.ones((2, 4))).shape)
    (2, 3)
    >>> model.count_params() == 4 * 5 + 5 + 5 * 3 + 3
    True

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating
        errors". https://doi.org/10.1038/323533a0
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section III.C, for the sizes. https://doi.org/10.1109/5.726791
    """
    check_integers(num_outputs=num_outputs)
    check_integer_lists(input_shape=input_shape, hidden_units=hidden_units)
    check_rates(dropout=dropout)
    features = keras.Input(tuple(input_shape), name="features")
    x = features
    if len(input_shape) > 1:
        x = keras.layers.Flatten(data_format="channels_last", name="flat")(x)
    for index, units in enumerate(hidden_units, 1):
        x = keras.layers.Dense(units, activation=activation, name=f"hidden_{index}")(x)
        if dropout:
            # With one seed for all, layers of the same size would drop the same units.
            drop = keras.layers.Dropout(
                dropout, seed=nth_seed(seed, index), name=f"dropout_{index}"
            )
            x = drop(x)
    y = keras.layers.Dense(num_outputs, activation=output_activation, name="outputs")(x)
    return keras.Model(features, y, name=name)
