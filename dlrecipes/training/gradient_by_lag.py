"""How much of a loss's gradient reaches the states of long before."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.training.carried_state import CarriedState


def gradient_by_lag(
    network: keras.Model,
    inputs: tf.Tensor,
    targets: tf.Tensor,
    loss: str | Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = "mse",
) -> dict[str, np.ndarray]:
    """Returns the norm of the gradient of the last step's loss, by the steps that it went back.

    At lag `k` it is the norm of `d loss_T / d s_(T-k)`, of each example, averaged over them. The
    state `s` of a layer is all that goes from step to step, an LSTM's memory included; in a
    deep network the other layers' states at that step are held. A norm that falls with
    the lag as a straight line in a logarithmic plot is a vanishing gradient, one that rises an
    exploding one.

    Args:
        network: Recurrent model, of any depth, whose time is unknown.
        inputs: Of shape `(batch, time, ...)`.
        targets: Those of the last step alone, of shape `(batch, ...)`.
        loss: What of targets and outputs gives a loss an example; or Keras' name of it.

    Returns:
        For each recurrent layer, by name, float32 of shape `(time,)`: lag 1 comes first, and
        the last is that of the initial state.

    Raises:
        ValueError: If the network has no recurrent layer, or one that reads from the end.

    Example:

    With one linear unit, `h_t = h_(t-1) / 2`, each step back halves the gradient.

    >>> x = keras.Input((None, 1))
    >>> half = keras.initializers.Constant(0.5)
    >>> layer = keras.layers.SimpleRNN(1, "linear", recurrent_initializer=half, name="rnn")
    >>> network = keras.Model(x, layer(x))
    >>> gradient_by_lag(network, tf.zeros([1, 3, 1]), tf.ones([1, 1]))["rnn"].tolist()
    [1.0, 0.5, 0.25]

    Reference:
        Bengio, Simard and Frasconi, 1994, "Learning long-term dependencies with gradient descent
        is difficult", section IV. Pascanu, Mikolov and Bengio, 2013, "On the difficulty of
        training recurrent neural networks", equations 3 to 5.
    """
    run, loss = CarriedState(network), keras.losses.get(loss)
    inputs = tf.convert_to_tensor(inputs)
    states, history = run.initial(inputs.shape[0]), []
    with tf.GradientTape() as tape:
        for step in range(inputs.shape[1]):
            tape.watch(states)
            history.append(states)
            outputs, states = run(inputs[:, step : step + 1], states)
        if len(outputs.shape) > 2:
            outputs = outputs[:, -1]
        total = tf.reduce_sum(loss(targets, outputs))
    back = tape.gradient(total, history, unconnected_gradients=tf.UnconnectedGradients.ZERO)[::-1]
    return {
        layer.name: np.array([_norm(states[number]) for states in back], "float32")
        for number, layer in enumerate(run.layers)
    }


def _norm(gradients: list) -> float:
    """Returns the mean over the examples of the norm over all parts of a layer's state."""
    flat = [tf.cast(gradient, tf.float32) for gradient in tf.nest.flatten(gradients)]
    return float(tf.reduce_mean(tf.norm(tf.concat(flat, axis=-1), axis=-1)))
