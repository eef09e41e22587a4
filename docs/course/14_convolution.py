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
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.generated.facades import generated_facades
from dlrecipes.figures import BLUE
from dlrecipes.layers import FixedKernelConv2D, FlippedConv2D

fair, loaded = np.full(6, 1 / 6), np.array([1, 1, 1, 1, 1, 5]) / 10
row, layer = np.pad(fair, 5).reshape(1, 1, -1, 1), FlippedConv2D(1, (1, 6), use_bias=False)
layer.build(row.shape)
layer.kernel.assign(loaded.reshape(1, 6, 1, 1))
sums = np.array(layer(row.astype("float32"))).ravel()
pair_sums, chances = np.add.outer(range(6), range(6)), np.outer(fair, loaded)
by_counting = np.bincount(pair_sums.ravel(), chances.ravel())
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
# **The course's examples** for pen and paper: a bright half next to a dark one, where a kernel with
# the columns 1, 0 and -1 finds the edge, and a kernel that moves in strides of 2 (步幅).
step = np.repeat([[10, 10, 10, 0, 0, 0]], 6, axis=0)
edge = np.array(FixedKernelConv2D([[1, 0, -1]] * 3)(step[None, ..., None].astype("float32")))
seven = np.array([*"2374629669874334838977836634421834632419830139214"], int).reshape(7, 7)
kernel = [[3, 4, 4], [1, 0, 2], [-1, 0, 3]]
strided = np.array(FixedKernelConv2D(kernel, 2)(seven[None, ..., None].astype("float32")))
step_edge, strided = (y[0, ..., 0].astype(int).tolist() for y in (edge[:, 0], strided))
print(f"the edge of the step {step_edge}, in strides of 2 {strided}")

# %%
# The rows are 0, 30, 30 and 0 for the edge. The other result begins with 91, 100 and 88.
#
# **Kernels on an image**, as image processing has used them for decades. Edge kernels sum to zero:
# on an even surface they answer zero.
_, photographs = generated_facades(1, seed=3, size=128)
image = photographs.mean(axis=-1, keepdims=True).astype("float32")
names = ("identity", "gaussian_blur_5", "sharpen", "sobel_vertical", "sobel_horizontal", "edges_8")
figure, axes = plt.subplots(2, 3, figsize=(7.2, 5), layout="constrained")
for axis, name in zip(axes.flat, names, strict=True):
    low, high, colours = (0, 255, "gray") if name in names[:3] else (-200, 200, "RdBu")
    axis.imshow(np.array(FixedKernelConv2D(name)(image))[0, ..., 0], colours, vmin=low, vmax=high)
    axis.set_title(name, fontsize=9)
    axis.axis("off")
plt.show()

# %%
# **Equivariance** (平移等变性). Moving the image and then filtering it is the same as filtering it
# and then moving the result. A dense layer must learn an object again at every place.
sobel = FixedKernelConv2D("sobel_vertical")
moved_first, moved_after = np.array(sobel(image[:, 5:, 7:])), np.array(sobel(image))[:, 5:, 7:]
moves_differ = float(np.abs(moved_first - moved_after).max())

# %%
# **Padding and stride** (填充与步幅). For an input of size :math:`n`, a kernel of size :math:`k`,
# padding :math:`p` on both sides and stride :math:`s`, the output has the size
#
# .. math:: \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1 .
cases, agreeing = 0, 0
for n, k, p, s in itertools.product(range(5, 20), range(1, 6), range(3), range(1, 4)):
    conv = keras.layers.Conv2D(1, (1, k), strides=s)
    cases += 1
    agreeing += conv.compute_output_shape((1, s, n + 2 * p, 1))[2] == (n + 2 * p - k) // s + 1
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
