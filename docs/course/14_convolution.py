r"""
Convolution: from dice to images (卷积)
=======================================

A convolution slides a small kernel (卷积核) over its input and adds up products. See the same
operation add two dice, find edges in an image, and follow the image when it moves.
"""

# %%
# **Two dice.** The probability of a sum is a convolution of the two dice's probabilities:
#
# .. math:: p(s) = \sum_{a} p_1(a)\, p_2(s - a) .
#
# The index runs against the shift, so the kernel is flipped (翻转). Keras, like most libraries,
# leaves the flip out and computes the cross-correlation (互相关);
# :class:`~dlrecipes.layers.FlippedConv2D` is the convolution of the mathematics.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.generated.facades import generated_facades
from dlrecipes.figures import BLUE
from dlrecipes.layers import FixedKernelConv2D, FlippedConv2D

fair, loaded = np.full(6, 1 / 6), np.array([1, 1, 1, 1, 1, 5]) / 10
layer = FlippedConv2D(1, (1, 6), use_bias=False)
row = np.pad(fair, 5).astype("float32").reshape(1, 1, -1, 1)
layer.build(row.shape)
layer.kernel.assign(loaded.reshape(1, 6, 1, 1))
sums = np.array(layer(row)).ravel()
by_counting = np.zeros(11)
for a, first in enumerate(fair):
    for b, second in enumerate(loaded):
        by_counting[a + b] += first * second
dice_differ = float(np.abs(sums - by_counting).max())
chance_of_7, chance_of_12 = float(sums[5]), float(sums[10])

# %%
# One die is fair, and the other shows a six half of the time. They add up to 7 with probability
# 0.17 and to 12 with 0.08. The layer and counting the pairs differ by less than 0.000001.
figure, axis = plt.subplots(figsize=(5, 2.2), layout="constrained")
axis.bar(np.arange(2, 13), sums, color=BLUE)
axis.set(xlabel="sum of the two dice", ylabel="probability", xticks=np.arange(2, 13))
plt.show()

# %%
# **Kernels on an image.** The same sum in two dimensions, with kernels that image processing has
# used for decades. Edge kernels sum to zero: on an even surface they answer zero.
_, photographs = generated_facades(1, seed=3, size=128)
image = photographs.mean(axis=-1, keepdims=True).astype("float32")
names = ("identity", "gaussian_blur_5", "sharpen", "sobel_vertical", "sobel_horizontal", "edges_8")
figure, axes = plt.subplots(2, 3, figsize=(7.2, 5), layout="constrained")
for axis, name in zip(axes.flat, names, strict=True):
    filtered = np.array(FixedKernelConv2D(name)(image))[0, :, :, 0]
    is_edges = not np.isclose(np.array(FixedKernelConv2D(name)(np.ones((1, 5, 5, 1)))).max(), 1)
    limits = (
        {"vmin": -200, "vmax": 200, "cmap": "RdBu"}
        if is_edges
        else {"vmin": 0, "vmax": 255, "cmap": "gray"}
    )
    axis.imshow(filtered, **limits)
    axis.set_title(name, fontsize=9)
    axis.axis("off")
plt.show()

# %%
# **Equivariance** (平移等变性). Moving the image and then filtering it is the same as filtering it
# and then moving the result. A fully connected layer has no such property, and must learn an object
# again at every place.
sobel = FixedKernelConv2D("sobel_vertical")
moved_first = np.array(sobel(image[:, 5:, 7:]))
moved_after = np.array(sobel(image))[:, 5:, 7:]
moves_differ = float(np.abs(moved_first - moved_after).max())

# %%
# **Padding and stride** (填充与步幅). For an input of size :math:`n`, a kernel of size :math:`k`,
# padding :math:`p` on both sides and stride :math:`s`, the output has the size
#
# .. math:: \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1 .
cases, agreeing = 0, 0
for n in range(5, 20):
    for k in range(1, 6):
        for p in range(3):
            for s in range(1, 4):
                conv = keras.layers.Conv2D(1, (1, k), strides=s)
                size = conv.compute_output_shape((1, s, n + 2 * p, 1))[2]
                cases += 1
                agreeing += size == (n + 2 * p - k) // s + 1
print(f"{dice_differ:.1e} {moves_differ:.1e}; {agreeing} of {cases} sizes by the formula")

# %%
# Filtering before and after the move differ by less than 0.001, where the image goes up to 255, and
# the formula gives Keras' size in 675 of 675 cases.
#
# **At work.** Every image recipe learns its kernels instead of choosing them; the figures of
# :doc:`digit_recognition </gallery/digit_recognition>` show what its kernels became.
#
# *Reference:* Goodfellow, Bengio and Courville, 2016, `Deep learning
# <https://www.deeplearningbook.org>`_, chapter 9.
