"""How fast the gradient vanishes or explodes over time steps, in Elman networks and LSTMs.

`python docs/demonstrations/vanishing_gradients.py` writes `vanishing_gradients.png` to its own
folder, in ten seconds on one core.

Left: Elman networks whose recurrent kernel is an orthogonal matrix times a spectral radius.
Right: LSTMs with several biases of the forget gate. The gate's value is the factor by which the
memory cell changes per step. Keras initializes the bias to 1, where the gate is 0.73: such a cell
also forgets, until it has learned not to. With a bias of 5 the gate is 0.993, close to the first
LSTM, which had no forget gate. The recurrent kernel is small, as in that paper. A larger one adds a
second path, through which the gradient of an LSTM can explode as well.

Reference: Bengio, Simard and Frasconi, 1994, "Learning long-term dependencies with gradient
descent is difficult"; Hochreiter and Schmidhuber, 1997, "Long short-term memory"; Pascanu,
Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural networks".
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from dlrecipes.layers import LSTM, SimpleRNN
from dlrecipes.training import gradient_by_lag

UNITS, FEATURES, TIME, EXAMPLES = 32, 4, 60, 8
# Tiny inputs keep tanh in its linear region, so that the gradient depends on the kernel alone.
# Saturated units would limit an exploding gradient.
INPUT_SCALE = 1e-8
RADII = (0.7, 0.9, 1.0, 1.1, 1.3)
FORGET_BIASES = (0.0, 1.0, 3.0, 5.0)


def norms_of(layer: keras.layers.RNN, seed: int = 0) -> np.ndarray:
    """Returns the gradient's norm by lag, divided by the norm at lag 1.

    Args:
        layer: Built recurrent layer that returns its last output.
        seed: Seed of inputs and targets. Defaults to 0.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=INPUT_SCALE, size=(EXAMPLES, TIME, FEATURES)).astype("float32")
    y = rng.normal(size=(EXAMPLES, UNITS)).astype("float32")
    inputs = keras.Input((None, FEATURES))
    norms = gradient_by_lag(keras.Model(inputs, layer(inputs)), x, y)[layer.name]
    return norms / norms[0]


def elman(radius: float, seed: int = 0) -> SimpleRNN:
    """Returns an Elman layer whose recurrent kernel has the given spectral radius."""
    layer = SimpleRNN(UNITS, recurrent_initializer=keras.initializers.Orthogonal(radius, seed))
    layer.build((None, None, FEATURES))
    return layer


def lstm(forget_bias: float, seed: int = 0) -> LSTM:
    """Returns an LSTM layer with a small recurrent kernel and the given forget-gate bias."""
    layer = LSTM(UNITS, recurrent_initializer=keras.initializers.Orthogonal(0.1, seed))
    layer.build((None, None, FEATURES))
    bias = np.zeros((4, UNITS), "float32")
    bias[1] = forget_bias
    layer.cell.bias.assign(bias.ravel())
    return layer


def draw(elmans: Mapping[float, np.ndarray], lstms: Mapping[float, np.ndarray]) -> Figure:
    """Returns a figure of the norms by lag, with Elman networks left and LSTMs right.

    Args:
        elmans: Norms of the Elman networks by spectral radius.
        lstms: Norms of the LSTMs by the bias of their forget gates.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    panels = (
        (left, elmans, "Elman", "spectral radius {:g}"),
        (right, lstms, "LSTM", "forget bias {:g}"),
    )
    colours = ("#113366", "#3366aa", "#888888", "#dd7722", "#aa2222")
    for axis, norms, title, label in panels:
        for colour, (value, curve) in zip(colours, norms.items(), strict=False):
            lags = np.arange(1, len(curve) + 1)
            axis.semilogy(lags, curve, color=colour, label=label.format(value))
        axis.axhline(1, color="#cccccc", zorder=0)
        axis.set(title=title, xlabel="lag k, in steps")
        axis.legend(fontsize=8, loc="lower left")
    left.set_ylabel("norm of d loss$_T$ / d state$_{T-k}$, lag 1 = 1")
    return figure


def main() -> None:
    """Measures the gradients and writes the figure."""
    elmans = {radius: norms_of(elman(radius)) for radius in RADII}
    lstms = {bias: norms_of(lstm(bias)) for bias in FORGET_BIASES}
    for name, curves in (("spectral radius", elmans), ("forget bias", lstms)):
        for value, norms in curves.items():
            print(f"{name} {value:g}: {norms[-1]:.2g} of the norm remains after {TIME} steps")
    draw(elmans, lstms).savefig(Path(__file__).with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
