r"""
A generative adversarial network (生成对抗网络)
===============================================

A generator (生成器) :math:`G` turns noise :math:`z` into numbers, and a discriminator (判别器)
:math:`D` judges whether a number is from the data. See in one dimension, as in figure 1 of the
paper, how the generated numbers come to match the data, until the discriminator cannot decide.

.. math:: \min_G \max_D \; \mathbb{E}_x \log D(x) + \mathbb{E}_z \log (1 - D(G(z)))
"""

# %%
# **The data** are a mixture of two normal distributions (高斯混合分布).
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.training import GAN

WEIGHTS, MEANS, DEVIATIONS = np.array([0.4, 0.6]), np.array([-2.0, 1.5]), np.array([0.5, 0.8])
BATCH, DISCRIMINATOR_STEPS, UPDATES = 256, 3, 2000
x = np.linspace(-4.5, 4.5, 301, dtype="float32")
z = np.linspace(-1, 1, 41, dtype="float32")
normal = np.exp(-(((x[:, None] - MEANS) / DEVIATIONS) ** 2) / 2) / (DEVIATIONS * np.sqrt(2 * np.pi))
density = normal @ WEIGHTS


def sample(count, seed):
    """Returns numbers from the data's distribution, float32 of shape (count, 1)."""
    rng = np.random.default_rng(seed)
    parts = rng.choice(2, size=count, p=WEIGHTS)
    return rng.normal(MEANS[parts], DEVIATIONS[parts]).astype("float32")[:, None]


def small_network():
    """Returns a network from one number to one number."""
    hidden = [keras.layers.Dense(32, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((1,)), *hidden, keras.layers.Dense(1)])


# %%
# **Training.** :class:`~dlrecipes.training.GAN` updates the discriminator three times for each
# update of the generator. Both learning rates fall to zero, since a game has no minimum to come to
# rest in.
keras.utils.set_random_seed(0)
model = GAN(small_network(), small_network(), DISCRIMINATOR_STEPS, noise="uniform", seed=0)
decay = keras.optimizers.schedules.CosineDecay
counts = (UPDATES, UPDATES * DISCRIMINATOR_STEPS)
adams = [keras.optimizers.Adam(decay(2e-3, count), beta_1=0.5) for count in counts]
model.compile(*adams, steps_per_execution=50)
data = sample(50 * BATCH * DISCRIMINATOR_STEPS, seed=0)
truth = np.sort(sample(20_000, seed=1), axis=None)
moments, done = {}, 0
for updates in (0, 50, 150, 500, UPDATES):
    for _ in range(done, updates, 50):
        model.fit(data, batch_size=BATCH * DISCRIMINATOR_STEPS, verbose=0)
    done = updates
    logits = np.array(model.discriminator(x[:, None]))[:, 0]
    generated = np.sort(np.array(model.sample(len(truth))), axis=None)
    moments[updates] = generated, 1 / (1 + np.exp(-logits)), np.array(model(z[:, None]))[:, 0]

# %%
# **The distance.** The Wasserstein-1 distance (推土机距离) is how far the generated numbers would
# have to move on average to be distributed as the data.
distances = {
    updates: float(np.abs(moment[0] - truth).mean()) for updates, moment in moments.items()
}
inside = density > 0.05
undecided = float(np.abs(moments[UPDATES][1][inside] - 0.5).mean())
print({updates: f"{distance:.2f}" for updates, distance in distances.items()}, undecided)

# %%
# It falls from about 1.7 before training to below 0.15 after 2,000 updates. Where the data are
# dense, the discriminator's output is then below 0.1 away from one half on average.
figure, rows = plt.subplots(2, 5, figsize=(7.4, 3.6), sharey="row", layout="constrained")
bins = np.linspace(x[0], x[-1], 73)
for (updates, (generated, judged, images)), upper, lower in zip(
    moments.items(), *rows, strict=True
):
    upper.set_title(f"{updates:,} updates\ndistance {distances[updates]:.2f}", fontsize=9)
    upper.plot(x, density, color="black", linestyle=":", label="data")
    counts = np.histogram(generated, bins)[0] / (len(generated) * np.diff(bins))
    upper.stairs(counts, bins, fill=True, color=ORANGE, alpha=0.55, label="generated")
    upper.plot(x, judged, color=BLUE, linestyle="--", label="D(x)")
    upper.axhline(0.5, color=GREY, linewidth=0.6)
    upper.set(ylim=(0, 1.02), xlim=(x[0], x[-1]), xlabel="x")
    lower.plot(np.stack([z * 4, images]), [[0], [1]], color=ORANGE, linewidth=0.7)
    lower.set(ylim=(0, 1), yticks=(0, 1), yticklabels=("z", "G(z)"), xlim=(x[0], x[-1]), xticks=())
handles, names = upper.get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
# **At work.** The recipe :doc:`dcgan </gallery/dcgan>` plays the same game with images.
#
# *Reference:* Goodfellow et al., 2014, `Generative adversarial nets
# <https://arxiv.org/abs/1406.2661>`_.
