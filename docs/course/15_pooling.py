r"""
Five kinds of pooling (池化)
============================

Pooling replaces each window of a map by one number. See what five kinds keep of a digit, and how
much less they change when the digit moves by a pixel.
"""

# %%
# **The kinds.** For the values :math:`x_i` of a window: the maximum (最大池化), the mean
# (平均池化), the norm :math:`\sqrt{\sum_i x_i^2}` (L2 池化), LeNet-5's trainable subsampling
# :math:`w \sum_i x_i + b` (下采样), and AlexNet's maximum over windows that overlap (重叠池化).
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.digits import builtin_digits
from dlrecipes.layers import FixedKernelConv2D, L2Pooling2D, TrainableSubsampling2D

pools = {
    "none": keras.layers.Identity(),
    "maximum": keras.layers.MaxPooling2D(4),
    "mean": keras.layers.AveragePooling2D(4),
    "L2": L2Pooling2D(4),
    "trainable": TrainableSubsampling2D(4, activation="tanh"),
    "overlapping": keras.layers.MaxPooling2D(6, strides=4, padding="same"),
}
_, _, test = builtin_digits(seed=0)
digits = test.images[..., None].astype("float32") / 255

# %%
# **Features, then pooling.** The map that is pooled shows where a digit has a vertical edge, as the
# first layer of a network could.
edges = FixedKernelConv2D("sobel_vertical", padding="same")


def features(images):
    """Returns the strengths of vertical edges, from 0 up."""
    return keras.ops.relu(edges(images))


figure, axes = plt.subplots(1, 6, figsize=(7.2, 1.6), layout="constrained")
for axis, (name, pool) in zip(axes, pools.items(), strict=True):
    axis.imshow(np.array(pool(features(digits[:1])))[0, :, :, 0], cmap="Greys")
    axis.set_title(name, fontsize=9)
    axis.set(xticks=(), yticks=())
plt.show()

# %%
# **Invariance** (平移不变性). How far does the output move when the digit moves by some pixels?
# Measured is the distance, divided by the distance between two different digits: 0 means that
# nothing changes, 1 that the moved digit is as strange as another digit.
shifts = (0, 1, 2, 3, 4)
changes = {}
for name, pool in pools.items():
    still = np.array(pool(features(digits))).reshape(len(digits), -1)
    apart = np.linalg.norm(still - np.roll(still, 1, axis=0), axis=1).mean()
    changes[name] = []
    for shift in shifts:
        moved = np.array(pool(features(np.roll(digits, shift, axis=2)))).reshape(len(digits), -1)
        changes[name].append(float(np.linalg.norm(moved - still, axis=1).mean() / apart))
by_one = {name: values[1] for name, values in changes.items()}
print({name: round(change, 2) for name, change in by_one.items()})

# %%
# After one pixel, the map without pooling has changed by 0.65 of the distance between digits, with
# the mean by 0.56, and with the overlapping maximum, whose windows are larger, by 0.42. The
# invariance is a matter of small shifts: from three pixels on, hardly any kind helps.
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, values in changes.items():
    style = {"color": "black", "linestyle": ":"} if name == "none" else {}
    axis.plot(shifts, values, marker="o", label=name, **style)
axis.set(xlabel="shift in pixels", ylabel="change / distance of digits", xticks=shifts)
axis.legend(fontsize=8)
axis.grid(alpha=0.3)
plt.show()

# %%
# **At work.** The networks ``lenet5_1998`` and ``alexnet`` of the recipe
# :doc:`digit_recognition </gallery/digit_recognition>` pool as their papers did.
#
# *Reference:* Boureau, Ponce and LeCun, 2010, "A theoretical analysis of feature pooling in visual
# recognition".
