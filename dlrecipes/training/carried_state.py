"""Running a recurrent network from given states, and returning its final states."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

States = list[list[Any]]


class CarriedState:
    """Runs a recurrent network chunk by chunk, passing its states from one to the next.

    Two chunks run one after the other give the outputs of the whole sequence. The layers are the
    network's own; nothing is copied. Other layers see one chunk at a time (a convolution over time
    pads at its edges). A layer inside `TimeDistributed` runs over another time axis, and carries no
    state.

    Args:
        network: Any model with recurrent layers of Keras or of this package.

    Call arguments:
        inputs: Inputs of the network for one chunk of time.
        states: States from `initial` or from the previous call.
        training: Whether dropout is on, and the layers run their fast training path. Defaults to
            `False`.

    Returns:
        The network's outputs, and its states after the last step.

    Raises:
        ValueError: If there is no recurrent layer, or if one reads from the end, is `stateful`, is
            used twice, or gets its initial state from the network.

    Example:

    >>> import keras
    >>> from dlrecipes.training import CarriedState
    >>> x = keras.Input((None, 3))
    >>> network = keras.Model(x, keras.layers.GRU(4, return_sequences=True)(x))
    >>> run, sequence = CarriedState(network), keras.random.normal((2, 6, 3), seed=1)
    >>> first, states = run(sequence[:, :4], run.initial(2))
    >>> second, states = run(sequence[:, 4:], states)
    >>> bool(keras.ops.all(keras.ops.isclose(network(sequence)[:, 4:], second, atol=1e-6)))
    True

    Reference:
        Williams and Peng, 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories", section 1. https://doi.org/10.1162/neco.1990.2.4.490
    """

    def __init__(self, network: keras.Model):
        self.network = network
        self.layers = recurrent_layers(network)
        if not self.layers:
            raise ValueError(f"{network.name} has no recurrent layer: there is no state to carry.")

    def initial(self, batch_size: int | tf.Tensor) -> States:
        """Returns the states before the first step: a list for each layer.

        Args:
            batch_size: Number of examples.
        """
        return [list(layer.get_initial_state(batch_size)) for layer in self.layers]

    def __call__(self, inputs: Any, states: States, training: bool = False) -> tuple[Any, States]:
        """Returns the network's outputs, and its states after the last step."""
        with contextlib.ExitStack() as stack:
            runs = [
                stack.enter_context(_with_state(layer, state))
                for layer, state in zip(self.layers, states, strict=True)
            ]
            outputs = self.network(inputs, training=training)
        for layer, run in zip(self.layers, runs, strict=True):
            starts = run.count("start")
            if starts != 1 or len(run) != 2:
                raise ValueError(
                    f"{layer.name} must run once, from the carried state: it ran "
                    f"{len(run) - starts} times, {starts} of them from that state."
                )
        return outputs, [run[-1] for run in runs]


def recurrent_layers(network: keras.layers.Layer) -> list[keras.layers.RNN]:
    """Returns a network's recurrent layers, including nested ones, in the network's order.

    Args:
        network: Model or layer.

    Raises:
        ValueError: If a layer cannot run in chunks, because it reads from the end or is `stateful`.
    """
    layers = []
    for layer in network._flatten_layers(include_self=False, recursive=False):
        backwards = isinstance(layer, keras.layers.Bidirectional)
        if backwards or getattr(layer, "go_backwards", False):
            raise ValueError(
                f"{layer.name} reads from the end: its state depends on later chunks. "
                "Use a network that reads forwards."
            )
        if isinstance(layer, keras.layers.RNN):
            if layer.stateful:
                raise ValueError(f"{layer.name} keeps its own state: leave out stateful=True.")
            layers.append(layer)
        elif not isinstance(layer, keras.layers.TimeDistributed):
            layers += recurrent_layers(layer)
    # A Sequential model lists its layers twice.
    return list({id(layer): layer for layer in layers}.values())


@contextlib.contextmanager
def _with_state(layer: keras.layers.RNN, state: list[Any]) -> Iterator[list[Any]]:
    """Makes a layer begin with a state, and records its runs: `"start"`, then its last states."""
    own, run = vars(layer), []
    if "inner_loop" in own:
        # Synchronized layers make replicas take turns, so that one would get another's state.
        raise RuntimeError(
            f"{layer.name} is already running: synchronized batch normalization is not supported."
        )

    def get_initial_state(batch_size):
        run.append("start")
        return list(state)

    def inner_loop(*args, **kwargs):
        last_output, outputs, states = type(layer).inner_loop(layer, *args, **kwargs)
        run.append(list(states))
        return last_output, outputs, states

    replaced = {
        "get_initial_state": get_initial_state,
        "inner_loop": inner_loop,
        "keeps_states": True,
    }
    own.update(replaced)
    try:
        yield run
    finally:
        for name in replaced:
            del own[name]
