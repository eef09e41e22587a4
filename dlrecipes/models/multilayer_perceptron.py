"""Feed-forward networks: Rosenblatt's perceptron, and those with hidden layers."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import ThresholdUnit
from dlrecipes.models._arguments import integers, rates, several


def perceptron(
    num_features: int,
    units: int = 1,
    weights: Sequence | None = None,
    threshold: float | Sequence[float] = 0.0,
    output: str = "binary",
    name: str = "perceptron",
) -> keras.Model:
    """Builds one layer of threshold units.

    Its weights are those of the layer `threshold_unit`. They have no gradient: Rosenblatt's
    rule sets them, or they are given. For an example `x` whose output `y` should be `t`, the
    rule adds to the `kernel` the outer product of `x` and `t - y`, and takes `t - y` from the
    thresholds.

    Args:
        num_features: Number of inputs, at least 1.
        units: Number of units, at least 1.
        weights: Initial weights, of shape `(num_features, units)`, or `(num_features,)` for
            one unit; zero by default.
        threshold: Initial threshold: one number for all units, or one for each.
        output: `"binary"` for 0 and 1, or `"bipolar"` for -1 and 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, num_features)`. Output:
        which units fire, of shape `(batch, units)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, `output` is not one of those
            named, or `weights` or `threshold` has another shape.

    Example:

    >>> either = perceptron(2, weights=[1, 1], threshold=1)
    >>> y = either(keras.ops.array([[0.0, 0.0], [0.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[0.0], [1.0]]

    Reference:
        Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and
        organization in the brain".
    """
    integers(num_features=num_features)
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
    """Builds a multilayer perceptron: fully connected layers, one after the other.

    The sizes by default are those of the network with two hidden layers that LeNet-5 was
    compared with, often called LeNet-300-100; it has 266,610 parameters.

    Args:
        input_shape: Shape of an example; what has several axes is flattened.
        num_outputs: Number of outputs, at least 1.
        hidden_units: Units of each hidden layer, each at least 1; none for a linear model.
        activation: Activation of the hidden layers.
        dropout: Share of the units that are left out after each hidden layer, in [0, 1).
        output_activation: Activation of the outputs; `None` gives scores.
        seed: Seed of the dropout layers.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, *input_shape)`. Output:
        of shape `(batch, num_outputs)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, or `dropout` not in [0, 1).

    Example:

    >>> model = mlp((4,), num_outputs=3, hidden_units=(5,))
    >>> tuple(model(keras.ops.ones((2, 4))).shape)
    (2, 3)
    >>> model.count_params() == 4 * 5 + 5 + 5 * 3 + 3
    True

    Reference:
        Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating
        errors".
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section III.C, for the sizes.
    """
    integers(num_outputs=num_outputs)
    several(input_shape=input_shape, hidden_units=hidden_units)
    rates(dropout=dropout)
    features = keras.Input(tuple(input_shape), name="features")
    x = features
    if len(input_shape) > 1:
        x = keras.layers.Flatten(data_format="channels_last", name="flat")(x)
    for index, units in enumerate(hidden_units, 1):
        x = keras.layers.Dense(units, activation=activation, name=f"hidden_{index}")(x)
        if dropout:
            # Seeds that differ, or layers of the same size would drop the same units.
            own = None if seed is None else seed + index
            x = keras.layers.Dropout(dropout, seed=own, name=f"dropout_{index}")(x)
    y = keras.layers.Dense(num_outputs, activation=output_activation, name="outputs")(x)
    return keras.Model(features, y, name=name)
