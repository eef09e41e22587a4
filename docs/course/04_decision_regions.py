r"""
Decision regions by depth (决策区域与网络深度)
==============================================

A unit divides the plane by a line. See what layers of them add: one hidden layer (隐层) intersects
half-planes to a convex region, and a second one unites such regions to any shape.
"""

# %%
# **The task** is the letter L: two rectangles that overlap. It is not convex.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.layers import ThresholdUnit
from dlrecipes.models import mlp

side = np.linspace(-1, 1, 81)
points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype("float32")
RECTANGLES = np.array([[-0.71, -0.21, -0.81, 0.81], [-0.71, 0.71, -0.81, -0.31]])
inside = [
    (points[:, 0] > left) & (points[:, 0] < right) & (points[:, 1] > low) & (points[:, 1] < high)
    for left, right, low, high in RECTANGLES
]
letter = (inside[0] | inside[1]).astype("float32")

# %%
# **By hand.** Each side of a rectangle is a unit that fires on its inner side. A unit with weights
# 1 and threshold 4 fires where four sides do: AND. A unit with threshold 1 fires where either
# rectangle does: OR.
weights = np.tile([[1, -1, 0, 0], [0, 0, 1, -1]], 2)
thresholds = (RECTANGLES * [1, -1, 1, -1]).ravel()
sides = ThresholdUnit(8, weights, thresholds)
both = ThresholdUnit(2, np.kron(np.eye(2), np.ones((4, 1))), threshold=4)
either = ThresholdUnit(weights=[1, 1], threshold=1)
maps = {
    "one half-plane": sides(points)[:, 0],
    "AND: one rectangle": both(sides(points))[:, 0],
    "OR: both": either(both(sides(points)))[:, 0],
}
by_hand = [float(np.mean(np.array(fires) == letter)) for fires in maps.values()]

# %%
# **By learning.** The same depths with tanh units, so that gradients pass. Each hidden layer has
# eight units, and all three networks train for the same number of epochs.
learned = []
for depth in (0, 1, 2):
    keras.utils.set_random_seed(1)
    network = mlp((2,), 1, (8,) * depth, output_activation="sigmoid")
    network.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", steps_per_execution=13)
    network.fit(points, letter, epochs=60, batch_size=512, verbose=0)
    fires = network.predict(points, batch_size=len(points), verbose=0)[:, 0] > 0.5
    maps[("no hidden layer", "one hidden layer", "two hidden layers")[depth]] = fires
    learned.append(float(np.mean(fires == letter)))
print(by_hand, learned)

# %%
# By hand, two hidden layers draw the letter without an error. Learning reaches 63 % of the points
# without a hidden layer, 96 % with one and at least 97 % with two. One layer of eight smooth units
# already bends its border into corners: with enough units it could approximate any shape, as
# :doc:`06_universal_approximation` shows.
figure, axes = plt.subplots(2, 3, figsize=(7.2, 5), layout="constrained")
accuracies = by_hand + learned
for axis, (name, fires), right in zip(axes.flat, maps.items(), accuracies, strict=True):
    axis.imshow(np.reshape(fires, (81, 81)), origin="lower", extent=(-1, 1, -1, 1), cmap="Oranges",
                vmax=1.6)  # fmt: skip
    axis.contour(side, side, letter.reshape(81, 81), [0.5], colors=BLUE)
    axis.set_title(f"{name}\n{right:.1%} of the points", fontsize=9)
    axis.set(xticks=(), yticks=())
axes[0, 0].set_ylabel("by hand", color=ORANGE)
axes[1, 0].set_ylabel("by learning", color=ORANGE)
plt.show()

# %%
# **At work.** :func:`~dlrecipes.models.mlp` is the network ``mlp`` of the recipe
# :doc:`digit_recognition </gallery/digit_recognition>`.
#
# *Reference:* Lippmann, 1987, `An introduction to computing with neural nets
# <https://doi.org/10.1109/MASSP.1987.1165576>`_, figure 14.
