r"""
Universal approximation (万能近似定理)
======================================

One hidden layer with enough units approximates any continuous function on an interval, as closely
as you like. See how the error falls with the number of units, on a smooth function, one with a
corner and one with a jump.

.. math:: \hat f(x) = \sum_{j=1}^{n} v_j \tanh(w_j x + b_j) + c
"""

# %%
# **Choosing the weights.** The theorem says that good weights exist, not that gradient descent
# finds them. Here the hidden units get fixed weights: the steep parts of their activations are
# spread over the interval. The output weights then follow by least squares (最小二乘法). The
# network is an ordinary :func:`~dlrecipes.models.mlp`, whose weights are set.
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.models import mlp

x = np.linspace(-1, 1, 1001).astype("float32")[:, None]
functions = {
    "sine": np.sin(2 * np.pi * x),
    "corner": np.abs(x),
    "jump": np.where(x < 0.1, -0.5, 0.5),
}
units = (1, 2, 4, 8, 16, 32, 64)


def approximate(y, n):
    """Returns the outputs of a network with n hidden units that fits y."""
    network = mlp((1,), 1, (n,), activation="tanh")
    hidden, output = network.layers[1:]
    centres = (np.arange(n) + 0.5) / n * 2 - 1
    slope = np.full(n, max(2.0, n / 2))
    hidden.set_weights([slope[None], -slope * centres])
    activations = np.column_stack([np.array(hidden(x), "float64"), np.ones(len(x))])
    weights = np.linalg.lstsq(activations, y, rcond=1e-6)[0]
    output.set_weights([weights[:-1], weights[-1]])
    return np.array(network(x))


# %%
# The error is the root mean square (均方根误差) over 1,001 points of the interval.
fits = {name: [approximate(y, n) for n in units] for name, y in functions.items()}
errors = {
    name: {
        n: float(np.sqrt(np.mean((fit - functions[name]) ** 2)))
        for n, fit in zip(units, row, strict=True)
    }
    for name, row in fits.items()
}
largest = {name: float(np.abs(row[-1] - functions[name]).max()) for name, row in fits.items()}
for name, row in errors.items():
    print(f"{name:6}", {n: round(error, 4) for n, error in row.items()}, f"{largest[name]:.3f}")

# %%
# With 64 units the error is below 0.001 on the sine and below 0.001 on the corner, but still above
# 0.03 on the jump. Next to the jump the largest error is above 0.3: the theorem holds for
# continuous functions, and no continuous network can follow a jump everywhere.
figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.4), layout="constrained", height_ratios=(1, 1.1))
for axis, (name, y) in zip(axes[0], functions.items(), strict=True):
    axis.plot(x, y, color=GREY, linewidth=3, label="function")
    for n, colour in ((2, BLUE), (8, ORANGE)):
        axis.plot(x, fits[name][units.index(n)], color=colour, linewidth=1, label=f"{n} units")
    axis.set_title(name, fontsize=10)
axes[0, 1].legend(fontsize=8, loc="upper center")
grid = axes[1, 0].get_gridspec()
for axis in axes[1]:
    axis.remove()
below = figure.add_subplot(grid[1, :])
for (name, row), marker in zip(errors.items(), "os^", strict=True):
    below.loglog(row.keys(), row.values(), marker=marker, label=name)
below.set(xlabel="hidden units", ylabel="root mean square error", xticks=units, xticklabels=units)
below.minorticks_off()
below.grid(alpha=0.3)
below.legend()
plt.show()

# %%
# **At work.** Width is one way to more capacity (容量), and depth is often the cheaper one:
# :doc:`04_decision_regions` draws the letter L with ten hidden units in two layers.
#
# *Reference:* Cybenko, 1989, `Approximation by superpositions of a sigmoidal function
# <https://doi.org/10.1007/BF02551274>`_; Hornik, Stinchcombe and White, 1989, "Multilayer
# feedforward networks are universal approximators".
