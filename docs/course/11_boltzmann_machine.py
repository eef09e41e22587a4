r"""
The restricted Boltzmann machine (受限玻尔兹曼机)
=================================================

A machine of visible and hidden units gives every visible vector a probability, and learns from
examples alone. Below, :math:`Z` (配分函数) makes the probabilities add up to one. See the exact
likelihood rise on a small problem, then filters, and digits that the machine makes up.

.. math:: p(v, h) = \tfrac{1}{Z} e^{-E(v, h)}, \qquad E(v, h) = -a v - b h - v W h
"""

# %%
# **Bars and stripes** (条纹图案) are images of 4x4 pixels whose rows, or whose columns, are each
# all on or all off. There are 30 of them. With 16 visible units, :math:`Z` can be summed over all
# 65,536 images, so that the likelihood (似然) is exact.
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.digits import builtin_digits
from dlrecipes.figures import BLUE, GREY, tiled
from dlrecipes.models import restricted_boltzmann_machine
from dlrecipes.training import ContrastiveDivergence

lines = np.array(list(itertools.product((0, 1), repeat=4)), "float32")
stripes = np.repeat(lines[:, None], 4, axis=1)
bars = np.unique(np.concatenate([stripes, stripes.transpose(0, 2, 1)]).reshape(-1, 16), axis=0)
images = np.array(list(itertools.product((0, 1), repeat=16)), "float32")


def negative_log_likelihood(rbm):
    """Returns the mean of -log p(v) over bars and stripes: free energy (自由能) plus log Z."""
    free = np.array(rbm.free_energy(images), "float64")
    log_z = np.log(np.exp(free.min() - free).sum()) - free.min()
    return float(np.mean(rbm.free_energy(bars)) + log_z)


# %%
# **Contrastive divergence** (对比散度) follows the difference of two means: over the data, and over
# samples that a few steps of Gibbs sampling (吉布斯采样) draw, starting at the data.
#
# .. math:: \Delta W \propto \langle v h \rangle_\text{data} - \langle v h \rangle_\text{samples}
keras.utils.set_random_seed(0)
model = ContrastiveDivergence(restricted_boltzmann_machine(16, 16, seed=0), steps=5)
decay = keras.optimizers.schedules.CosineDecay(0.1, 3000)
model.compile(keras.optimizers.SGD(decay, momentum=0.5), steps_per_execution=50)
nats = [negative_log_likelihood(model.machine)]
for _ in range(60):
    model.fit(np.tile(bars, (50, 1)), batch_size=30, verbose=0)
    nats.append(negative_log_likelihood(model.machine))
least = float(np.log(len(bars)))
print(f"from {nats[0]:.2f} to {nats[-1]:.2f} nats per image; the least possible is {least:.2f}")

# %%
# The mean of :math:`-\log p(v)`, in nats as the logarithm is natural, falls from 11.1 to about 4.3
# nats. The least possible is 3.4, the logarithm of the number of images.
figure, axis = plt.subplots(figsize=(6, 2.5), layout="constrained")
axis.plot(50 * np.arange(len(nats)), nats, color=BLUE)
axis.axhline(least, color=GREY, linestyle=":", label="least possible")
axis.set(xlabel="updates", ylabel="nats per image")
axis.legend()
plt.show()

# %%
# **Digits.** The weights of each hidden unit are a filter (滤波器). In persistent training the
# Gibbs chains go from one step to the next without a new start, so that their states become samples
# of the machine. A reconstruction (重构) goes up to the hidden units and down again.
train, _, test = builtin_digits(seed=0)
x, new = (part.images.reshape(-1, 784).astype("float32") / 255 for part in (train, test))
model = ContrastiveDivergence(restricted_boltzmann_machine(784, 128, seed=0), persistent=True)
decay = keras.optimizers.schedules.CosineDecay(0.05, 1650)
model.compile(keras.optimizers.SGD(decay, momentum=0.5), steps_per_execution=11)
model.fit(x, batch_size=100, epochs=150, verbose=0)
rbm = model.machine
samples = rbm.visible_probabilities(rbm.hidden_probabilities(model.states.value))[:16]
restored = np.array(model.reconstruct(new))
error, mean_error = (float(np.mean((new - y) ** 2)) for y in (restored, x.mean(axis=0)))
times_smaller = mean_error / error
print(f"{times_smaller:.2f} times smaller")

# %%
# On test digits, the reconstruction has a squared error about 6 times smaller than the mean image
# has.
filters = rbm.kernel.numpy().T[:16]
filters = filters / (2 * np.abs(filters).max()) + 0.5
panels = {"filters": filters, "samples, from Gibbs chains": samples, "test digits": new[:16],
          "reconstructions": restored[:16]}  # fmt: skip
figure, axes = plt.subplots(1, 4, figsize=(7.2, 2.2), layout="constrained")
for axis, (name, values) in zip(axes, panels.items(), strict=True):
    sheet = (255 - 255 * np.reshape(values, (-1, 28, 28, 1))).astype("uint8")
    axis.imshow(tiled(sheet), cmap="gray")
    axis.set_title(name, fontsize=9)
    axis.axis("off")
plt.show()

# %%
# *Reference:* Hinton, 2002, `Training products of experts by minimizing contrastive divergence
# <https://doi.org/10.1162/089976602760128018>`_; Tieleman, 2008, for the persistent chains.
