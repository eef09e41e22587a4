r"""
The McCulloch-Pitts neuron (M-P 神经元)
=======================================

The first model of a neuron, published in 1943, adds its weighted inputs and fires when the sum
reaches a threshold (阈值):

.. math:: y = \begin{cases} 1 & \sum_i w_i x_i \ge \theta \\ 0 & \text{otherwise} \end{cases}

Such a unit computes logic. In the figure at the end, see which functions of two inputs it can
compute, and which it cannot.
"""

# %%
# **AND, OR and NOT** (与、或、非). :class:`~dlrecipes.layers.ThresholdUnit` takes the weights and
# the threshold of the course. For NOT, the second input has weight zero.
import itertools

import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.layers import ThresholdUnit

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
units = {
    "AND": ThresholdUnit(weights=[1, 1], threshold=2),
    "OR": ThresholdUnit(weights=[1, 1], threshold=0.5),
    "NOT x1": ThresholdUnit(weights=[-0.6, 0], threshold=-0.5),
}
for name, unit in units.items():
    print(f"{name:7}", np.ravel(unit(x)).astype(int))

# %%
# **All functions of two inputs.** Two inputs have four combinations, so there are 16 functions. A
# unit divides the plane by the line :math:`w_1 x_1 + w_2 x_2 = \theta`, and a small grid of weights
# and thresholds contains every division of the four points that a line can make. One layer holds
# all these units.
grid = np.array(list(itertools.product((-1, 0, 1), (-1, 0, 1), (-1.5, -0.5, 0.5, 1.5))))
layer = ThresholdUnit(len(grid), weights=grid[:, :2].T, threshold=grid[:, 2])
computed = {}
for outputs, unit in zip(np.array(layer(x)).T.astype(int), grid, strict=True):
    computed.setdefault(tuple(outputs), unit)
functions = list(itertools.product((0, 1), repeat=4))
separable = len(computed)
impossible = [function for function in functions if function not in computed]
print(f"{separable} of {len(functions)} functions; not {impossible}")

# %%
# The units compute 14 of the 16 functions. The two others are XOR (异或) and its complement. No
# weights exist for XOR, because its four rows contradict one another:
#
# .. math:: 0 < \theta, \quad w_1 \ge \theta, \quad w_2 \ge \theta, \quad w_1 + w_2 < \theta.
#
# The second and the third give :math:`w_1 + w_2 \ge 2\theta > \theta`, against the fourth. The
# functions that one unit can compute are called linearly separable (线性可分).
figure, axes = plt.subplots(2, 8, figsize=(7.2, 2.5), layout="constrained")
a, b = np.meshgrid(np.linspace(-0.5, 1.5, 200), np.linspace(-0.5, 1.5, 200))
for axis, function in zip(axes.flat, functions, strict=True):
    axis.set(xticks=(0, 1), yticks=(0, 1), aspect="equal", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
    axis.tick_params(labelsize=7)
    if function in computed:
        w1, w2, threshold = computed[function]
        axis.contourf(a, b, w1 * a + w2 * b - threshold, [0, 9], colors=[ORANGE], alpha=0.3)
    else:
        axis.set_facecolor("#dddddd")
    axis.set_title("".join(map(str, function)), fontsize=9)
    axis.scatter(*x.T, c=[ORANGE if y else BLUE for y in function], s=22, zorder=2)
figure.suptitle("All functions of two inputs: fires (orange), impossible (grey)", fontsize=10)
plt.show()

# %%
# **At work.** A unit's weights need not be chosen by hand: the next page lets them learn from
# mistakes. XOR needs a second layer of units, as the page on decision regions shows.
#
# *Reference:* McCulloch and Pitts, 1943, `A logical calculus of the ideas immanent in nervous
# activity <https://doi.org/10.1007/BF02478259>`_.
