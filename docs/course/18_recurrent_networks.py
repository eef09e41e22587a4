r"""
Elman, Jordan, bidirectional, deep (循环神经网络)
=================================================

A recurrent network reads a sequence step by step and keeps a state (状态). See by hand what four
kinds compute, and then measure how far back, or ahead, each of them remembers.
"""

# %%
# **The course's example.** Two inputs, two hidden units, two outputs, no biases, no activation, and
# every weight is one. Elman's network feeds the hidden layer back, Jordan's the output. A
# bidirectional network (双向循环网络) has a second hidden layer that reads from the end, a deep one
# (深层循环网络) a second one that reads the states of the first.
#
# .. math:: h_t = W x_t + U h_{t-1} \quad\text{(Elman)}, \qquad
#    h_t = W x_t + U y_{t-1} \quad\text{(Jordan)}, \qquad y_t = V h_t .
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.layers import JordanCell, SimpleRNN

x = np.array([[[1, 1], [1, 1], [2, 2]]], "float32")
ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
hidden = [SimpleRNN(2, activation="linear", return_sequences=True, **ones) for _ in range(2)]
cell = JordanCell(2, 2, "linear", "linear", output_initializer="ones", **ones)
jordan = np.array(keras.layers.RNN(cell, return_sequences=True)(x))[0, :, 0].astype(int).tolist()
states = {"Elman": hidden[0](x), "reversed": hidden[0](x[:, ::-1]), "deep": hidden[1](hidden[0](x)),
          "bidirectional": keras.layers.Bidirectional(hidden[0])(x)}  # fmt: skip
# Each output adds up all states, because its weights are one.
outputs = {name: np.array(h).sum(axis=-1)[0].astype(int).tolist() for name, h in states.items()}
print(f"Jordan {jordan}", outputs)

# %%
# For the inputs (1, 1), (1, 1), (2, 2), both outputs of the Elman network are 4, 12 and 32, and
# those of the Jordan network 4, 20 and 88. The bidirectional network outputs 48, 32 and 40, the
# deep one 8, 40 and 144. In the other order, Elman's outputs are 8, 20 and 44: the order counts.
#
# **Memory by lag** (记忆). Random numbers go into networks whose random weights stay fixed. How
# well can a linear readout find the input :math:`x_{t-k}` in the state at step :math:`t`? The
# measure is the variance explained (决定系数) on new data: 1 if the input can be read exactly.
UNITS, OUTPUTS, TIME, LAGS = 40, 5, 3000, np.arange(-40, 61)
numbers = np.random.default_rng(0).uniform(-0.5, 0.5, (1, TIME, 1)).astype("float32")


def layer(seed):
    """Returns an Elman layer with random weights; the state alone shrinks by 0.95 at each step."""
    kernel = keras.initializers.RandomUniform(-0.3, 0.3, seed=seed)
    recurrent = keras.initializers.Orthogonal(0.95, seed=seed)
    return SimpleRNN(UNITS, kernel_initializer=kernel, recurrent_initializer=recurrent,
                     return_sequences=True)  # fmt: skip


def memory(states):
    """Returns the fraction of variance explained by lag, on the second half of the data."""
    rows = np.arange(100, TIME - 100)
    known = np.column_stack([states, np.ones(TIME)])[rows]
    targets = numbers[0, rows[:, None] - LAGS, 0]
    half = len(rows) // 2
    weights = np.linalg.lstsq(known[:half], targets[:half], rcond=None)[0]
    error = targets[half:] - known[half:] @ weights
    return 1 - error.var(axis=0) / targets[half:].var(axis=0)


forward = np.array(layer(1)(numbers))
backward = np.array(layer(3)(numbers[:, ::-1]))[:, ::-1]
keras.utils.set_random_seed(0)
feedback = JordanCell(UNITS, OUTPUTS, "tanh", "linear", output_initializer="orthogonal")
states = {
    "Elman": forward,
    "Jordan": np.array(keras.layers.RNN(feedback, return_sequences=True)(numbers)),
    "bidirectional": np.concatenate([forward, backward], axis=-1),
    "deep": np.array(layer(2)(forward)),
}
scores = {name: memory(values[0]) for name, values in states.items()}
past = {name: int(((row > 0.5) & (LAGS >= 0)).sum()) for name, row in scores.items()}
future = {name: int(((row > 0.5) & (LAGS < 0)).sum()) for name, row in scores.items()}
print(past, future)

# %%
# The Elman network's 40 units know the last inputs, about 35, by more than one half of their
# variance. The Jordan network feeds back 5 outputs, and knows 5 inputs. The bidirectional network
# also knows about 38 inputs of the future, where the others know 0.
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
styles = ((BLUE, "-"), ("black", ":"), (ORANGE, "-"), ("#339944", "--"))
for (name, row), (colour, style) in zip(scores.items(), styles, strict=True):
    axis.plot(LAGS, row, style, color=colour, label=name, linewidth=3 if name == "Elman" else 1.5)
axis.axvline(0, color=GREY, linewidth=0.5)
axis.set(xlabel="lag k: steps into the past (future if negative)", ylabel="variance explained")
axis.legend()
plt.show()

# %%
# **At work.** :doc:`slot_filling </gallery/slot_filling>` offers all of them, by ``--cell``,
# ``--bidirectional`` and ``--depth``.
#
# *Reference:* Elman, 1990, `Finding structure in time
# <https://doi.org/10.1207/s15516709cog1402_1>`_; Jordan, 1986, "Serial order"; Jaeger, 2001, "Short
# term memory in echo state networks".
