"""Running a recurrent network from given states, and getting those that it ends in."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

States = list[list[Any]]


class CarriedState:
    """Runs a recurrent network piece by piece: states go in, and come out.

    Two pieces run one after the other give what the whole sequence gives. The layers are the
    network's own: nothing is copied. Layers other than recurrent ones see a piece alone (a
    convolution over time pads at its edges), and a layer within `TimeDistributed`, whose time
    is another, carries nothing.

    Args:
        network: Any model with recurrent layers of Keras' or of this package.

    Call arguments:
        inputs: What the network takes; a piece of time.
        states: As `initial` or another call returned them.
        training: Whether dropout is on, and the layers train fast.

    Returns:
        The network's outputs, and its states after the last step.

    Raises:
        ValueError: If there is no recurrent layer; if one reads from the end, is
            `stateful`, is used twice, or is given its state by the network.

    Example:

    >>> x = keras.Input((None, 3))
    >>> network = keras.Model(x, keras.layers.GRU(4, return_sequences=True)(x))
    >>> run, sequence = CarriedState(network), keras.random.normal((2, 6, 3), seed=1)
    >>> first, states = run(sequence[:, :4], run.initial(2))
    >>> second, states = run(sequence[:, 4:], states)
    >>> bool(keras.ops.all(keras.ops.isclose(network(sequence)[:, 4:], second, atol=1e-6)))
    True

    Reference:
        Williams and Peng, 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories", section 1.
    """

    def __init__(self, network: keras.Model):
        self.network = network
        self.layers = recurrent_layers(network)
        if not self.layers:
            raise ValueError(f"{network.name} has no recurrent layer: there is no state to carry.")

    def initial(self, batch_size: int | tf.Tensor) -> States:
        """Returns the states before the first step: for each layer a list.

        Args:
            batch_size: Examples.
        """
        return [list(layer.get_initial_state(batch_size)) for layer in self.layers]

    def __call__(self, inputs: Any, states: States, training: bool = False) -> tuple[Any, States]:
        """Returns the network's outputs, and its states after the last step."""
        with contextlib.ExitStack() as lent:
            runs = [
                lent.enter_context(_handed(layer, state))
                for layer, state in zip(self.layers, states, strict=True)
            ]
            outputs = self.network(inputs, training=training)
        for layer, run in zip(self.layers, runs, strict=True):
            if run.count("begun") != 1 or len(run) != 2:
                raise ValueError(
                    f"{layer.name} must run once, from the state before: it ran "
                    f"{len(run) - run.count('begun')} times, {run.count('begun')} from there."
                )
        return outputs, [run[-1] for run in runs]


def recurrent_layers(network: keras.layers.Layer) -> list[keras.layers.RNN]:
    """Returns a network's recurrent layers, nested ones included, in the order it holds them.

    Args:
        network: Model or layer.

    Raises:
        ValueError: If one cannot be cut in time: it reads from the end, or is `stateful`.
    """
    found = []
    for layer in network._flatten_layers(include_self=False, recursive=False):
        backwards = isinstance(layer, keras.layers.Bidirectional)
        if backwards or getattr(layer, "go_backwards", False):
            raise ValueError(
                f"{layer.name} reads from the end: its state comes from the future, which no "
                "chunk has. Give a network that reads forwards."
            )
        if isinstance(layer, keras.layers.RNN):
            if layer.stateful:
                raise ValueError(f"{layer.name} keeps a state of its own: leave out stateful=True.")
            found.append(layer)
        elif not isinstance(layer, keras.layers.TimeDistributed):
            found += recurrent_layers(layer)
    # A Sequential model holds its layers twice.
    return list({id(layer): layer for layer in found}.values())


@contextlib.contextmanager
def _handed(layer: keras.layers.RNN, state: list[Any]) -> Iterator[list[Any]]:
    """Has a layer begin with a state, and tells what it does: `"begun"`, then its last states."""
    own, run = vars(layer), []
    if "inner_loop" in own:
        # Replicas take turns where layers wait for one another: one would get another's state.
        raise RuntimeError(
            f"{layer.name} is run already: synchronized batch normalisation cannot be used here."
        )

    def get_initial_state(batch_size):
        run.append("begun")
        return list(state)

    def inner_loop(*args, **kwargs):
        last_output, outputs, states = type(layer).inner_loop(layer, *args, **kwargs)
        run.append(list(states))
        return last_output, outputs, states

    own.update(get_initial_state=get_initial_state, inner_loop=inner_loop)
    try:
        yield run
    finally:
        del own["get_initial_state"], own["inner_loop"]
