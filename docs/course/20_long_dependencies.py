r"""
Remembering over many steps (长期依赖)
======================================

Two of 40 numbers are marked, and the target is their sum. Both marks are in the first half, so a
network must carry the numbers over 20 steps at least. See which networks can, and what the gates of
an LSTM do on one sequence.
"""

# %%
# **The adding problem** (加法问题). The marked numbers lie between 0 and 1. The constant answer 1
# has as its mean squared error the variance of the sum of two such numbers, one sixth.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.models import sequence_model
from dlrecipes.training import SupervisedTrainer

TIME, UNITS, BATCH, STEPS, EPOCHS = 40, 32, 64, 100, 20


def adding(count, seed):
    """Returns sequences of shape (count, TIME, 2) and their sums, of shape (count, 1)."""
    rng = np.random.default_rng(seed)
    numbers, marks, rows = rng.uniform(size=(count, TIME)), np.zeros((count, TIME)), range(count)
    first = rng.integers(0, 10, count)
    second = (first + rng.integers(1, TIME // 2, count)) % (TIME // 2)
    marks[rows, first] = marks[rows, second] = 1
    x = np.stack([numbers, marks], axis=-1).astype("float32")
    return x, (numbers * marks).sum(axis=1, keepdims=True).astype("float32")


test_x, test_y = adding(2000, seed=0)
constant = float(np.mean((test_y - 1) ** 2))

# %%
# **Two networks** with the same number of units see new sequences in every epoch: Elman's, whose
# state is overwritten at each step, and an LSTM, which adds to a memory cell through gates (门):
#
# .. math:: c_t = f_t \odot c_{t-1} + i_t \odot \tilde c_t, \qquad h_t = o_t \odot \tanh c_t .
errors, networks = {}, {}
for cell in ("elman", "lstm"):
    keras.utils.set_random_seed(0)
    network = networks[cell] = sequence_model("many_to_one", 1, 2, cell=cell, units=UNITS)
    model = SupervisedTrainer(network)
    optimizer = keras.optimizers.Adam(0.005, global_clipnorm=1.0)
    model.compile(optimizer, "mse", steps_per_execution=STEPS)
    errors[cell] = []
    for epoch in range(EPOCHS):
        model.fit(*adding(BATCH * STEPS, seed=epoch + 1), batch_size=BATCH, verbose=0)
        predicted = network.predict(test_x, batch_size=2000, verbose=0)
        errors[cell].append(float(np.mean((predicted - test_y) ** 2)))
last = {cell: curve[-1] for cell, curve in errors.items()}
total_steps = STEPS * EPOCHS
print(last, f"constant answer: {constant:.3f}")

# %%
# The error of the constant answer is 0.16 on the test sequences. After 2,000 steps the Elman
# network is still above 0.1, and the LSTM below 0.01.
#
# **The gates on one sequence.** Keras returns no gates, so they are computed here from the layer's
# weights, whose columns are the input gate, the forget gate, the candidate and the output gate.
layer = next(layer for layer in networks["lstm"].layers if isinstance(layer, keras.layers.RNN))
kernel, recurrent, bias = layer.get_weights()
x, h, c, gates, cells = test_x[0], np.zeros(UNITS), np.zeros(UNITS), [], []
for step in x:
    i, f, g, o = np.split(step @ kernel + h @ recurrent + bias, 4)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * np.tanh(g)
    h = o * np.tanh(c)
    gates.append((i.mean(), f.mean()))
    cells.append(c)
opens = float(np.mean([i for (i, _), step in zip(gates, x, strict=True) if step[1]]))
rests = float(np.mean([i for (i, _), step in zip(gates, x, strict=True) if not step[1]]))
print(f"mean input gate: {opens:.2f} at the marks, {rests:.2f} elsewhere")

# %%
# On average over the units, the input gate (输入门) is open to 0.52 at the marks and to 0.37
# elsewhere. In the figure, cells change at the marks and keep their values in the second half.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
for (cell, curve), colour in zip(errors.items(), (ORANGE, BLUE), strict=True):
    left.semilogy(STEPS * np.arange(1, EPOCHS + 1), curve, color=colour, label=cell)
left.axhline(constant, color=GREY, linestyle=":", label="constant answer")
left.set(xlabel="steps", ylabel="squared error on new sequences")
left.legend(fontsize=8)
right.imshow(np.array(cells).T, aspect="auto", cmap="RdBu", vmin=-2, vmax=2)
for mark in np.flatnonzero(x[:, 1]):
    right.axvline(mark, color=ORANGE)
right.set(xlabel="step (orange: marked)", ylabel="memory cell", title="cell states of the LSTM")
plt.show()

# %%
# *Reference:* Hochreiter and Schmidhuber, 1997, `Long short-term memory
# <https://doi.org/10.1162/neco.1997.9.8.1735>`_, section 5.4.
