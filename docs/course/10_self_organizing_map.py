r"""
The self-organizing map (自组织映射)
====================================

Units on a grid compete (竞争学习) for each example. The winner and its neighbours move towards it,

.. math:: w_i \leftarrow w_i + \eta\, e^{-|r_i - r_c|^2 / 2 \rho^2} (x - w_i),

where unit :math:`i` has the place :math:`r_i` on the grid and the winner :math:`r_c`, :math:`\rho`
is the radius (邻域半径) and :math:`\eta` the learning rate. See order appear without any label:
neighbours on the grid come to represent similar colours, and similar digits.
"""

# %%
# **Two errors** describe a map: the quantization error (量化误差) is the mean distance from an
# example to its winner, and the topographic error (拓扑误差) the fraction of examples whose two
# nearest units are not neighbours on the grid.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.digits import builtin_digits
from dlrecipes.figures import BLUE, ORANGE, tiled
from dlrecipes.layers import SelfOrganizingMap


def errors_of(layer, x):
    """Returns the quantization error and the topographic error of a map."""
    distances = np.array(layer(x)).reshape(len(x), -1)
    first, second = np.argsort(distances, axis=1)[:, :2].T
    step = np.abs(np.stack(np.divmod(first, layer.columns)) - np.divmod(second, layer.columns))
    return float(np.sqrt(distances.min(axis=1)).mean()), float((step.max(axis=0) > 1).mean())


# %%
# **Colours.** One random colour per step; rate and radius shrink. The grid has 15 rows and columns.
keras.utils.set_random_seed(0)
colours = np.random.default_rng(0).random((3000, 3)).astype("float32")
side = 15
layer = SelfOrganizingMap(side, keras.initializers.RandomUniform(0.4, 0.6))
layer.build(colours.shape)
steps, codebooks, history = len(colours), [], []
for step in range(steps + 1):
    if step in (0, 100, 500, steps):
        codebooks.append(layer.codebook.numpy().reshape(side, side, 3))
    if step % 100 == 0:
        history.append((step, *errors_of(layer, colours)))
    if step < steps:
        left = 1 - step / steps
        x = colours[step : step + 1]
        layer.codebook.assign(layer.update(x, rate=0.5 * left + 0.01, radius=6 * left + 0.3))
at, quantization, topographic = np.array(history).T
before, after = history[0][1:], history[-1][1:]
print(f"before: {before}, after: {after}")

# %%
# The quantization error falls from 0.35 to 0.12, and the topographic error from 95 % to 3 %. The
# first map has random shades of grey, the last one an order of all colours in two dimensions.
figure, axes = plt.subplots(1, 5, figsize=(7.2, 2), layout="constrained",
                            width_ratios=(1, 1, 1, 1, 1.5))  # fmt: skip
for axis, codebook, step in zip(axes, codebooks, (0, 100, 500, steps), strict=False):
    axis.imshow(codebook)
    axis.set_title(f"step {step:,}", fontsize=9)
    axis.set(xticks=(), yticks=())
axes[4].plot(at, quantization, color=BLUE, label="quantization")
axes[4].plot(at, topographic, color=ORANGE, label="topographic")
axes[4].set(ylim=(0, 1), xlabel="step")
axes[4].legend(fontsize=7)
plt.show()

# %%
# **Digits.** The batch form sets each unit to the mean of its neighbourhood's examples, and needs
# no rate. Afterwards each unit takes the label of the training image nearest to it, which makes a
# classifier of the map.
train, _, test = builtin_digits(seed=0)
x, new = (part.images.reshape(-1, 784).astype("float32") / 255 for part in (train, test))
layer = SelfOrganizingMap(12, keras.initializers.RandomUniform(0, 0.5))
layer.build(x.shape)
digit_history = [errors_of(layer, x)]
for radius in np.geomspace(6, 0.5, 40):
    layer.codebook.assign(layer.batch_update(x, radius))
    digit_history.append(errors_of(layer, x))
labels = train.labels[np.array(layer(x)).reshape(len(x), -1).argmin(axis=0)]
winners = np.array(layer(new)).reshape(len(new), -1).argmin(axis=1)
accuracy = float((labels[winners] == test.labels).mean())
print(f"accuracy {accuracy:.3f}, errors {digit_history[-1]}")
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 4), layout="constrained",
                                     width_ratios=(1.6, 1))  # fmt: skip
units = layer.codebook.numpy().reshape(-1, 28, 28, 1)
left.imshow(tiled((255 * (1 - units)).astype("uint8")), cmap="gray")
left.axis("off")
right.plot(np.divide(digit_history, [digit_history[0][0], 1]))
right.set(ylim=(0, 1.05), xlabel="step")
right.legend(("quantization, start = 1", "topographic"), fontsize=8)
plt.show()

# %%
# The 144 units name 96 % of the test digits rightly, and the topographic error is 8 %.
#
# *Reference:* Kohonen, 1990, `The self-organizing map <https://doi.org/10.1109/5.58325>`_.
