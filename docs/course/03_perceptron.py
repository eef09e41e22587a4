r"""
The perceptron rule (感知机学习规则)
====================================

A threshold unit learns from its mistakes. The rule changes the weights only when the output is
wrong:

.. math:: w \leftarrow w + \eta\,(y - \hat y)\,x, \qquad
   \theta \leftarrow \theta - \eta\,(y - \hat y).

See two things: on separable data it stops making mistakes, and on XOR it never does.
"""

# %%
# **Separable data** (线性可分数据). A line divides 200 points in the plane. Points near the line
# are left out, so that there is a margin (间隔).
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.models import perceptron
from dlrecipes.training import PerceptronRule

rng = np.random.default_rng(0)
normal, offset = np.array([0.6, 0.8]), 0.35
x = rng.uniform(-1, 1, (2000, 2)).astype("float32")
distance = x @ normal - offset
clear = np.abs(distance) > 0.03
x, distance = x[clear][:200], distance[clear][:200]
y = (distance > 0).astype("float32")


def learn(x, y, epochs):
    """Returns the mistakes per epoch, and the weights after each epoch."""
    keras.utils.set_random_seed(0)
    model = PerceptronRule(perceptron(2))
    model.compile(keras.optimizers.SGD(1.0))
    lines = []
    follow = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: lines.append(np.append(*model.unit.get_weights()))
    )
    fitted = model.fit(x, y, epochs=epochs, shuffle=False, callbacks=[follow], verbose=0)
    return np.rint(np.array(fitted.history["errors"]) * len(x)).astype(int), np.array(lines)


mistakes, lines = learn(x, y, epochs=15)
total = int(mistakes.sum())

# %%
# **Novikoff's bound.** Append -1 to each input, so that the threshold is one more weight. If no
# such input is longer than :math:`r`, and a plane through the origin separates the classes with
# margin :math:`\gamma`, the rule makes at most :math:`(r / \gamma)^2` mistakes, in any order. The
# line that made the data gives one such margin.
points = np.column_stack([x, -np.ones(len(x))])
plane = np.append(normal, offset) / np.linalg.norm(np.append(normal, offset))
margin = float(np.abs(points @ plane).min())
bound = float((np.linalg.norm(points, axis=1).max() / margin) ** 2)
print(f"{total} mistakes, at most {bound:.0f} by the bound; per epoch: {mistakes}")

# %%
# **XOR.** No line separates its four points, so the bound does not apply, and the weights repeat
# in a cycle.
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
xor_mistakes, xor_lines = learn(corners, np.array([0, 1, 1, 0], "float32"), epochs=30)
always = int(xor_mistakes[-10:].min())
same = bool((xor_lines[-10:] == xor_lines[-1]).all())
clean = int(np.argmin(mistakes)) + 1
print(f"XOR: {xor_mistakes}; the same weights after every epoch: {same}")

# %%
# The rule made 46 mistakes on the 200 points and none from the 5th epoch on; the bound allows about
# 2,000. On XOR it makes 4 mistakes in each epoch of four examples, and every epoch ends with the
# same weights.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.1), layout="constrained")
left.scatter(*x.T, c=np.where(y, ORANGE, BLUE), s=12)
ends = np.array([-1, 1])
for number, (w1, w2, threshold) in enumerate(lines[: np.argmin(mistakes) + 1]):
    alpha = 0.2 + 0.8 * number / max(1, np.argmin(mistakes))
    left.plot(ends, (threshold - w1 * ends) / w2, color="black", alpha=alpha)
left.set(xlim=(-1, 1), ylim=(-1, 1), title="the line after each epoch", aspect="equal")
right.plot(np.arange(1, 16), mistakes, "o-", color=BLUE, label=f"separable, {len(x)} points")
right.plot(np.arange(1, 31), xor_mistakes, "o-", color=ORANGE, label="XOR, 4 points")
right.set(xlabel="epoch", ylabel="mistakes", title="mistakes per epoch")
right.legend()
plt.show()

# %%
# **At work.** The perceptron is the smallest model here that learns. A second layer of units solves
# XOR, but the rule has no answer for its hidden units: :doc:`05_back_propagation` has.
#
# *Reference:* Rosenblatt, 1958, `The perceptron <https://doi.org/10.1037/h0042519>`_; Novikoff,
# 1962, "On convergence proofs on perceptrons".
