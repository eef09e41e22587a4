r"""
Activations and saturation (激活函数与饱和)
===========================================

A step has no useful derivative, so networks that learn by gradients replace it with a smooth or
piecewise linear activation. See in the figures where each derivative vanishes, and what a stack of
such units does to a gradient on its way down.
"""

# %%
# **The functions.** The logistic sigmoid (对数几率函数) has a derivative that its own value gives,
# and so has the hyperbolic tangent (双曲正切):
#
# .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}, \quad \sigma' = \sigma (1 - \sigma),
#    \qquad \tanh' = 1 - \tanh^2 .
#
# The rectifier (ReLU, 线性整流函数) is the larger of its input and zero. Automatic differentiation
# gives all derivatives.
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.layers import Logistic, ScaledTanh
from dlrecipes.models import mlp

x = tf.linspace(-6.0, 6.0, 601)
activations = {
    "logistic": Logistic(),
    "tanh": keras.ops.tanh,
    "scaled tanh (LeNet-5)": ScaledTanh(),
    "ReLU": keras.ops.relu,
}
figure, axes = plt.subplots(1, 4, figsize=(7.2, 2.1), layout="constrained", sharey=True)
largest = {}
for axis, (name, function) in zip(axes, activations.items(), strict=True):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    derivative = tape.gradient(y, x)
    largest[name.split()[0]] = float(tf.reduce_max(derivative))
    axis.plot(x, y, color=BLUE, label="value")
    axis.plot(x, derivative, color=ORANGE, label="derivative")
    axis.set_title(name, fontsize=9)
    axis.set(ylim=(-2, 2.5), xticks=(-5, 0, 5))
    axis.grid(alpha=0.3)
axes[0].legend(fontsize=8, loc="upper left")
plt.show()

# %%
# The logistic derivative is at most 0.25, in the middle. For large inputs of either sign it is
# nearly zero: the unit is saturated (饱和).

# %%
# **Ten layers.** Back-propagation multiplies the gradient by one derivative per layer. Two networks
# have the same ten layers of 64 units and the same initial weights; only the activation differs.
# The gradient of a random target arrives at each layer with this norm:
rng = np.random.default_rng(0)
inputs = rng.normal(size=(256, 64)).astype("float32")
targets = rng.normal(size=(256, 1)).astype("float32")
norms = {}
for name in ("sigmoid", "relu"):
    keras.utils.set_random_seed(0)
    network = mlp((64,), 1, (64,) * 10, activation=name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((network(inputs) - targets) ** 2)
    kernels = [layer.kernel.value for layer in network.layers[1:-1]]
    norms[name] = [float(tf.norm(gradient)) for gradient in tape.gradient(loss, kernels)]
remaining = {name: values[0] / values[-1] for name, values in norms.items()}
print({name: f"{value:.1e}" for name, value in remaining.items()})
lost = {name: 1 / value for name, value in remaining.items()}

# %%
# From the tenth layer down to the first, the gradient of the sigmoid network shrinks by a factor of
# more than 1,000,000, and the first layer hardly learns. In the ReLU network it is 1.6 times as
# large in the first layer as in the tenth. A bound explains the sigmoid: nine derivatives of at
# most a quarter shrink a gradient to :math:`4^{-9}` of its size, unless the weights are large.
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
layers = np.arange(1, 11)
axis.semilogy(layers, norms["relu"], "o-", color=ORANGE, label="ReLU")
axis.semilogy(layers, norms["sigmoid"], "o-", color=BLUE, label="sigmoid")
axis.set(xlabel="layer, from the input", ylabel="gradient norm", xticks=layers)
axis.legend()
axis.grid(alpha=0.3)
plt.show()

# %%
# **At work.** The image recipes use ReLU with batch normalization; :doc:`19_vanishing_gradients`
# shows the same effect over time instead of depth.
#
# *Reference:* Glorot and Bengio, 2010, "Understanding the difficulty of training deep feedforward
# neural networks".
