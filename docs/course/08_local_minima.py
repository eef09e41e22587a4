r"""
Four ways out of a local minimum (跳出局部极小)
===============================================

Gradient descent ends in the minimum of the valley where it starts. See on one landscape with many
valleys where four methods end that can leave a valley, with the same number of evaluations each.
"""

# %%
# **The landscape** has two weights. Its valleys lie about one unit apart in each direction, and the
# deepest is at the origin:
#
# .. math:: L(w) = \tfrac{1}{20} |w|^2 + \sum_i \tfrac{1}{2} (1 - \cos 2 \pi w_i).
#
# For the library, the weights are the kernel of a layer that reads the identity matrix, and the
# landscape is the loss.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, GREY
from dlrecipes.training import EvolutionarySearch, RandomPerturbation, Restarts, SimulatedAnnealing

identity, nothing = np.eye(2, dtype="float32"), np.zeros((2, 1), "float32")
start = np.array([[3.1], [-2.2]], "float32")


def landscape(_, w):
    """Returns the height at the weights w."""
    hills = (1 - keras.ops.cos(2 * np.pi * w)) / 2
    return keras.ops.sum(w**2 / 20 + hills)


def model_at_start():
    """Returns a model whose kernel is the starting point."""
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.05), landscape)
    layer.kernel.assign(start)
    return model


# %%
# **The methods.** Restarts (多次初始化) descend from several random points. Simulated annealing
# (模拟退火) accepts a step uphill by :math:`\Delta` with probability :math:`e^{-\Delta / T}`, while
# the temperature :math:`T` falls. Random perturbation (随机扰动) disturbs the end of a descent and
# descends again. Evolution (遗传算法) recombines and mutates a population, and keeps the best.
budget = 1500
uniform = keras.initializers.RandomUniform(-4, 4)
searches = {
    "gradient descent": Restarts(steps=budget),
    "restarts": Restarts(steps=10, initializer=uniform),
    "simulated annealing": SimulatedAnnealing(1.0, 0.01, step=0.5),
    "random perturbation": RandomPerturbation(noise=0.7, steps=20),
    "evolution": EvolutionarySearch(parents=10, children=40, step=1.5),
}
results, ends = {}, {}
for name, search in searches.items():
    model = model_at_start()
    results[name] = search.minimize(model, identity, nothing, evaluations=budget, seed=0)
    ends[name] = model.get_weights()[0].ravel()
lowest = {name: result.loss for name, result in results.items()}
worst = max(loss for name, loss in lowest.items() if name != "gradient descent")
print({name: round(loss, 3) for name, loss in lowest.items()})

# %%
# Gradient descent stays in the first valley, at a height of 0.65. After 1,500 evaluations each of
# the four methods is in the deepest valley, at a height below 0.05. They pay with evaluations,
# which is why they are for small networks.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
side = np.linspace(-4, 4, 300)
a, b = np.meshgrid(side, side)
height = (a**2 + b**2) / 20 + (2 - np.cos(2 * np.pi * a) - np.cos(2 * np.pi * b)) / 2
left.contourf(a, b, height, 20, cmap="Greys_r", alpha=0.7)
left.plot(*start, "x", color="red", markersize=9, label="start")
colours = (BLUE, "#339944", "#994499", "#dd7722", "#aa2222")
for (name, result), colour in zip(results.items(), colours, strict=True):
    left.plot(*ends[name], "o", color=colour, markersize=6, alpha=0.8)
    right.plot(result.history, color=colour, label=f"{name}: {result.loss:.2f}")
left.set(title="the landscape; dots: where each ended", aspect="equal")
left.title.set_fontsize(10)
right.axhline(0, color=GREY, linewidth=0.5)
right.set(xlabel="evaluations of the loss", ylabel="lowest loss so far")
right.legend(fontsize=7)
plt.show()

# %%
# **At work.** ``dlrecipes tune`` searches hyperparameters, which have no gradient, by methods of
# the same kinds.
#
# *Reference:* Zhou, 2016, "Machine learning", section 5.4; Kirkpatrick, Gelatt and Vecchi, 1983,
# `Optimization by simulated annealing <https://doi.org/10.1126/science.220.4598.671>`_.
