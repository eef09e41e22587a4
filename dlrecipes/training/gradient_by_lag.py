"""The gradient of a loss with respect to earlier states of a recurrent network."""

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
    """Returns the norm of the gradient of the last step's loss with respect to earlier states.

    At lag `k` it is the norm of `d loss_T / d s_(T-k)` for each example, averaged over the
    examples. The state `s` of a layer is everything that is passed from step to step, including an
    LSTM's memory; in a deep network the other layers' states at that step are held constant. A norm
    that falls with the lag as a straight line on a logarithmic plot is a vanishing gradient, one
    that rises an exploding gradient.

    Args:
        network: Recurrent model of any depth, with unknown time.
        inputs: Tensor of shape `(batch, time, ...)`.
        targets: Targets of the last step alone, of shape `(batch, ...)`.
        loss: Function from targets and outputs to one loss per example, or the name of a Keras
            loss. Defaults to `"mse"`.

    Returns:
        For each recurrent layer, by name, a float32 array of shape `(time,)`: lag 1 comes first,
        and the gradient with respect to the initial state last.

    Raises:
        ValueError: If the network has no recurrent layer, or has one that reads from the end.

    Example:

    With one linear unit, `h_t = h_(t-1) / 2`, each step back halves the gradient.

    >>> import keras
    >>> import tensorflow as tf
    >>> from dlrecipes.training import gradient_by_lag
    >>> x = keras.Input((None, 1))
    >>> half = keras.initializers.Constant(0.5)
    >>> layer = keras.layers.SimpleRNN(1, "linear", recurrent_initializer=half, name="rnn")
    >>> network = keras.Model(x, layer(x))
    >>> gradient_by_lag(network, tf.zeros([1, 3, 1]), tf.ones([1, 1]))["rnn"].tolist()
    [1.0, 0.5, 0.25]

    Reference:
        Bengio, Simard and Frasconi, 1994, "Learning long-term dependencies with gradient descent is
        difficult", section IV. https://doi.org/10.1109/72.279181
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks", equations 3 to 5. https://arxiv.org/abs/1211.5063
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
