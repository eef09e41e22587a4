r"""
The Hopfield network (Hopfield 网络与联想记忆)
==============================================

A network whose units feed back to one another remembers: from a corrupted pattern it falls into the
stored pattern nearby. See digits restored from noise and from half an image, and how many patterns
fit before memory fails.
"""

# %%
# **The memory.** Units are -1 or 1, and the weights store patterns. Each unit in turn takes the
# sign of its input, which never raises the energy (能量函数); recall ends in a minimum of it:
#
# .. math:: s_i \leftarrow \operatorname{sign} \sum_j w_{ij} s_j, \qquad
#    E = -\tfrac{1}{2} \sum_{ij} w_{ij} s_i s_j .
#
# The patterns are the mean images of the ten digits, in black and white. They resemble one another,
# which the Hebbian rule (Hebb 规则) :math:`w_{ij} = \sum_m x_{mi} x_{mj}` cannot handle. The
# projection rule (投影规则) can: it solves for weights that leave every stored pattern unchanged.
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.digits import builtin_digits
from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.models import hopfield_network

train, _, _ = builtin_digits(seed=0)
means = np.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
patterns = np.where(means > 128, 1.0, -1.0).reshape(10, 784)
rng = np.random.default_rng(0)
noisy = np.where(rng.random(patterns.shape) < 0.2, -patterns, patterns)
half = patterns.copy()
half[:, 392:] = rng.choice([-1.0, 1.0], size=(10, 392))

right, recalled = {}, {}
for rule in ("hebbian", "projection"):
    network = hopfield_network(784, patterns, rule, max_sweeps=20)
    for name, states in (("noisy", noisy), ("half", half)):
        recalled[rule, name] = network.predict(states, verbose=0)
        exact = (recalled[rule, name] == patterns).all(axis=1)
        right[f"{rule} {name}"] = int(exact.sum())
print(right)

# %%
# With a fifth of the pixels flipped, the projection rule restores 10 of the ten digits without a
# wrong pixel, and the Hebbian rule 0: it falls into mixtures of several digits. From the upper half
# of the image, with noise in the lower one, projection restores 10.
rows = {"noisy": noisy, "Hebbian recall": recalled["hebbian", "noisy"],
        "projection recall": recalled["projection", "noisy"], "upper half": half,
        "projection": recalled["projection", "half"]}  # fmt: skip
figure, axes = plt.subplots(len(rows), 10, figsize=(7.2, 4), layout="constrained")
for row, (name, states) in zip(axes, rows.items(), strict=True):
    for axis, state in zip(row, states, strict=True):
        axis.imshow(state.reshape(28, 28), cmap="Greys")
        axis.set(xticks=(), yticks=())
    row[0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
plt.show()

# %%
# **Capacity** (存储容量). Random patterns are stored by the Hebbian rule in 400 units, and recall
# starts at each stored pattern. The overlap is 1 if recall stays there. Theory puts the collapse at
# 0.138 patterns per unit, for very large networks.
units = 400
loads, overlaps = (0.05, 0.1, 0.12, 0.138, 0.16, 0.2, 0.25), {}
for load in loads:
    stored = np.where(rng.random((round(load * units), units)) < 0.5, -1.0, 1.0)
    network = hopfield_network(units, stored, max_sweeps=20)
    overlaps[load] = float((network.predict(stored, verbose=0) * stored).mean())
print({load: round(overlap, 3) for load, overlap in overlaps.items()})

# %%
# At 0.1 patterns per unit the overlap is above 0.98, and at 0.2 below 0.7. With 400 units the
# collapse is gradual, and begins near the theory's value.
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
axis.plot(overlaps.keys(), overlaps.values(), "o-", color=BLUE)
axis.axvline(0.138, color=ORANGE, linestyle="--", label="0.138: the limit for large networks")
axis.axhline(1, color=GREY, linewidth=0.5)
axis.set(xlabel="stored patterns per unit", ylabel="overlap after recall", ylim=(0, 1.05))
axis.legend()
plt.show()

# %%
# **At work.** Attention (注意力) also reads a memory by similarity, with a softmax in place of the
# sign: see :class:`~dlrecipes.layers.SelfAttention2D`.
#
# *Reference:* Hopfield, 1982, `Neural networks and physical systems
# <https://doi.org/10.1073/pnas.79.8.2554>`_; Amit, Gutfreund and Sompolinsky, 1985, "Storing
# infinite numbers of patterns in a spin-glass model of neural networks".
