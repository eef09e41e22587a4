"""Recurrent layers by the names that networks call their cells."""

from collections.abc import Callable

import keras

from dlrecipes.layers import LSTM, JordanCell, PeepholeLSTM, PeepholeLSTMCell, SimpleRNN

CELLS = ("elman", "jordan", "lstm", "peephole_lstm", "gru")


def recurrent_layer(
    cell: str | Callable[[int], keras.layers.Layer],
    units: int,
    bidirectional: bool = False,
    output_units: int | None = None,
    return_sequences: bool = True,
    feedback_activation: str = "softmax",
    name: str | None = None,
):
    """Makes a recurrent layer.

    Args:
        cell: `"elman"`, `"jordan"`, `"lstm"`, `"peephole_lstm"` or `"gru"`; or a function (or
            a class) that makes a cell of Keras' kind from a number of units.
        units: Hidden units in each direction.
        bidirectional: Whether there is a second layer that reads from the end. The outputs
            of both are concatenated; those of Jordan networks with `output_units` are added.
        output_units: Size of a Jordan network's output; `None` for `units`.
        return_sequences: Whether to return the outputs of all steps, or that of the last.
        feedback_activation: What a Jordan network applies to the output it feeds back.
        name: Name of the layer.

    Returns:
        A layer from inputs of shape `(batch, time, features)`, and a mask, to outputs of shape
        `(batch, time, outputs)`, or `(batch, outputs)` without sequences.

    Example:

    >>> layer = recurrent_layer("gru", 4, bidirectional=True)
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)
    """
    kwargs = {"return_sequences": return_sequences, "name": name}
    # Layers that are faster than their cell within an RNN.
    layers = {
        "elman": SimpleRNN,
        "lstm": LSTM,
        "peephole_lstm": PeepholeLSTM,
        "gru": keras.layers.GRU,
    }
    if isinstance(cell, str) and cell in layers:
        layer = layers[cell](units, **kwargs)
    else:
        made = recurrent_cell(cell, units, output_units, feedback_activation)
        layer = keras.layers.RNN(made, **kwargs)
    if not bidirectional:
        return layer
    # Two Jordan networks' scores add up: the product of what each believes.
    merge = "sum" if cell == "jordan" and output_units is not None else "concat"
    return keras.layers.Bidirectional(layer, merge_mode=merge, name=name)


def recurrent_cell(
    cell: str | Callable[[int], keras.layers.Layer],
    units: int,
    output_units: int | None = None,
    feedback_activation: str = "softmax",
):
    """Makes a recurrent cell; the arguments are those of `recurrent_layer`.

    Args:
        cell: As for `recurrent_layer`.
        units: As for `recurrent_layer`.
        output_units: As for `recurrent_layer`.
        feedback_activation: As for `recurrent_layer`.

    Returns:
        A cell for `keras.layers.RNN`.

    Raises:
        ValueError: If `cell` is a layer or makes something else than a cell.
    """
    if callable(cell):
        return _made(cell, units)
    return {
        "elman": lambda: keras.layers.SimpleRNNCell(units),
        "jordan": lambda: JordanCell(units, output_units, feedback_activation=feedback_activation),
        "lstm": lambda: keras.layers.LSTMCell(units),
        "peephole_lstm": lambda: PeepholeLSTMCell(units),
        "gru": lambda: keras.layers.GRUCell(units),
    }[cell]()


def _made(cell: Callable[[int], keras.layers.Layer], units: int):
    wanted = "cell must be a name or make a cell such as keras.layers.LSTMCell"
    if isinstance(cell, keras.layers.Layer):
        raise ValueError(f"{wanted}, not be a layer already made: give its class.")
    made = cell(units)
    # Keras' recurrent layers have a state's size, too.
    if isinstance(made, keras.layers.RNN) or not hasattr(made, "state_size"):
        kind = "layer" if isinstance(made, keras.layers.Layer) else type(made).__name__
        raise ValueError(f"{wanted}, not a {kind}.")
    return made
