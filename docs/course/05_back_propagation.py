r"""
Back-propagation by hand (误差反向传播)
=======================================

Back-propagation is the chain rule (链式法则), evaluated from the output to the inputs so that each
derivative is computed once. See it on two computational graphs (计算图) with pen-and-paper numbers,
then in a network.
"""

# %%
# **Two graphs.** The first is :math:`e = (a + b)(b + 1)` at :math:`a = 2, b = 1`. Two paths lead
# from :math:`b` to :math:`e`, and their derivatives add up. The second is a neuron,
# :math:`f = \sigma(w_0 x_0 + w_1 x_1 + w_2)`.
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.models import mlp
from dlrecipes.training import BackPropagation

a, b = 2.0, 1.0
c, d = a + b, b + 1
e = c * d
de_dc, de_dd = d, c
de_da, de_db = de_dc * 1, de_dc * 1 + de_dd * 1
w, x = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0, 1.0])
f = float(1 / (1 + np.exp(-w @ x)))
df_dw = f * (1 - f) * x

# %%
# Automatic differentiation (自动微分) walks the same graphs.
variables = [tf.Variable(value, dtype="float64") for value in (a, b, w)]
with tf.GradientTape() as tape:
    first = (variables[0] + variables[1]) * (variables[1] + 1)
    sum_of_both = first + tf.sigmoid(tf.reduce_sum(variables[2] * x))
automatic = np.hstack(tape.gradient(sum_of_both, variables))
graphs_differ = float(np.abs(automatic - np.hstack([de_da, de_db, df_dw])).max())
print(f"e = {e:g}: de/da {de_da:g}, de/db {de_db:g}; f = {f:.2f}: df/dw {df_dw.round(2)}")

# %%
# The gradients of :math:`e` are 2 and 5. The neuron outputs 0.73, and its gradient with respect to
# the third weight, its bias, is 0.20. The largest difference from automatic differentiation is
# below 0.000001.
#
# **A network.** For sigmoid units, the chain rule becomes the delta rule, which
# :class:`~dlrecipes.training.BackPropagation` writes out; :math:`b_h` is the output of hidden unit
# :math:`h`, and :math:`w_{hj}` its weight to output unit :math:`j`:
#
# .. math:: g_j = \hat y_j (1 - \hat y_j)(y_j - \hat y_j), \quad
#    e_h = b_h (1 - b_h) \sum_j w_{hj} g_j, \quad \Delta w_{hj} = \eta\, g_j b_h .
#
# The standard form (标准 BP) updates the weights after each example; the accumulated form (累积 BP)
# once per pass, by the mean over the examples. Both learn XOR, from the same weights.
inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
targets = np.array([[0], [1], [1], [0]], "float32")
repeated = tf.data.Dataset.from_tensors((inputs, targets)).repeat(50)
curves, networks_differ = {}, 0.0
for mode in ("standard", "accumulated"):
    keras.utils.set_random_seed(3)
    model = BackPropagation(mlp((2,), 1, (4,), "sigmoid", output_activation="sigmoid"), mode)
    model.compile(keras.optimizers.SGD(2.0), steps_per_execution=50)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(inputs, targets, model(inputs))
    theirs = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for ours, other in zip(model.gradients(inputs, targets), theirs, strict=True):
        networks_differ = max(networks_differ, float(tf.reduce_max(tf.abs(ours - other))))
    curves[mode] = model.fit(repeated, epochs=60, shuffle=False, verbose=0).history["loss"]
passes = {mode: 50 * int(np.argmin(np.array(loss) > 0.01)) + 50 for mode, loss in curves.items()}
speed = passes["accumulated"] / passes["standard"]
print(f"largest difference {networks_differ:.1e}; passes to an error of 0.01: {passes}")

# %%
# The delta rule and automatic differentiation differ by less than 0.000001 in every weight. The
# accumulated form needs about 4 times as many passes, since a pass of four examples is four
# updates for the standard form and one for the other. Mini-batches (小批量) are in between.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3), layout="constrained")
nodes = {"a": (0, 2, a, de_da), "b": (0, 0, b, de_db), "c = a+b": (1.2, 2, c, de_dc),
         "d = b+1": (1.2, 0, d, de_dd), "e = cd": (2.4, 1, e, 1.0)}  # fmt: skip
for start, end in ("ac", "bc", "bd", "ce", "de"):
    (x0, y0, *_), (x1, y1, *_) = (
        next(v for k, v in nodes.items() if k[0] == n) for n in start + end
    )
    left.annotate("", (x1 - 0.3, y1), (x0 + 0.2, y0), arrowprops={"arrowstyle": "->"})
for name, (column, row, value, gradient) in nodes.items():
    left.text(column, row + 0.3, name, ha="center", weight="bold")
    left.text(column, row - 0.05, f"{value:g}", ha="center", color=BLUE)
    left.text(column, row - 0.38, f"de: {gradient:g}", ha="center", color=ORANGE)
left.set(xlim=(-0.4, 2.9), ylim=(-0.7, 2.7), title="values forward, gradients backward")
left.axis("off")
for (mode, loss), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
    right.semilogy(50 * np.arange(1, len(loss) + 1), loss, color=colour, label=mode)
right.set(xlabel="passes over the data", ylabel="mean error", title="XOR")
right.legend()
plt.show()

# %%
# *Reference:* Rumelhart, Hinton and Williams, 1986, `Learning representations by back-propagating
# errors <https://doi.org/10.1038/323533a0>`_; Zhou, 2016, "Machine learning", section 5.3.
