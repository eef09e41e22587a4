"""Recurrent layers by the names of their cells."""

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
    """Returns a recurrent layer.

    Args:
        cell: `"elman"`, `"jordan"`, `"lstm"`, `"peephole_lstm"` or `"gru"`, or a function (or
            class) that takes a number of units and returns a Keras recurrent cell.
        units: Hidden units per direction.
        bidirectional: Whether to add a second layer that reads from the end. The outputs of both
            are concatenated, or added for a Jordan network with `output_units`. Defaults to
            `False`.
        output_units: Size of a Jordan network's output. Defaults to `None`, the same as `units`.
        return_sequences: Whether to return the outputs of all steps or only the last output.
            Defaults to `True`.
        feedback_activation: Activation of the output that a Jordan network feeds back. Defaults
            to `"softmax"`.
        name: Layer name. Defaults to `None`, a name that Keras generates.

    Returns:
        A layer from inputs of shape `(batch, time, features)`, and a mask, to outputs of shape
        `(batch, time, outputs)`, or `(batch, outputs)` without sequences.

    Example:

    >>> import keras
    >>> from dlrecipes.models.recurrent import recurrent_layer
    >>> layer = recurrent_layer("gru", 4, bidirectional=True)
    >>> tuple(layer(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 8)
    """
    kwargs = {"return_sequences": return_sequences, "name": name}
    # These layers are faster than a `keras.layers.RNN` with the same cell.
    layers = {
        "elman": SimpleRNN,
        "lstm": LSTM,
        "peephole_lstm": PeepholeLSTM,
        "gru": keras.layers.GRU,
    }
    if isinstance(cell, str) and cell in layers:
        layer = layers[cell](units, **kwargs)
    else:
        cell_layer = recurrent_cell(cell, units, output_units, feedback_activation)
        layer = keras.layers.RNN(cell_layer, **kwargs)
    if not bidirectional:
        return layer
    # The logits of two Jordan networks are added: the product of their distributions.
    merge = "sum" if cell == "jordan" and output_units is not None else "concat"
    return keras.layers.Bidirectional(layer, merge_mode=merge, name=name)


def recurrent_cell(
    cell: str | Callable[[int], keras.layers.Layer],
    units: int,
    output_units: int | None = None,
    feedback_activation: str = "softmax",
):
    """Returns a recurrent cell; the arguments are those of `recurrent_layer`.

    Args:
        cell: Name or function, as for `recurrent_layer`.
        units: Hidden units.
        output_units: Size of a Jordan network's output. Defaults to `None`, the same as `units`.
        feedback_activation: Activation of the output that a Jordan network feeds back. Defaults
            to `"softmax"`.

    Returns:
        A cell for `keras.layers.RNN`.

    Raises:
        ValueError: If `cell` is a layer instance, or a function that returns no cell.
    """
    if callable(cell):
        return _custom_cell(cell, units)
    return {
        "elman": lambda: keras.layers.SimpleRNNCell(units),
        "jordan": lambda: JordanCell(units, output_units, feedback_activation=feedback_activation),
        "lstm": lambda: keras.layers.LSTMCell(units),
        "peephole_lstm": lambda: PeepholeLSTMCell(units),
        "gru": lambda: keras.layers.GRUCell(units),
    }[cell]()


def _custom_cell(cell: Callable[[int], keras.layers.Layer], units: int):
    expected = "cell must be a name, or a function or class such as keras.layers.LSTMCell"
    if isinstance(cell, keras.layers.Layer):
        raise ValueError(f"{expected}, not a layer instance: pass its class.")
    made = cell(units)
    # Keras' recurrent layers also have a `state_size`.
    if isinstance(made, keras.layers.RNN) or not hasattr(made, "state_size"):
        kind = "layer" if isinstance(made, keras.layers.Layer) else type(made).__name__
        raise ValueError(f"{expected} that returns a cell, not a {kind}.")
    return made
