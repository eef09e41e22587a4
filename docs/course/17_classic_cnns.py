r"""
Classic CNNs: accuracy, cost and size (经典卷积神经网络)
========================================================

From LeNet-5 (1998) over AlexNet (2012), VGG and GoogLeNet (2014) to ResNet (2015), convolutional
networks became deeper. See what each costs, and which small version is worth its cost.
"""

# %%
# **Cost and size.** A convolution with :math:`k \times k` weights from :math:`C` to :math:`C'`
# channels, whose output has :math:`H \times W` positions, has this many parameters (参数) and
# multiply-accumulates (乘加运算) per image:
#
# .. math:: k^2 C C' + C', \qquad k^2 C C' H W .
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.digits import builtin_digits
from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.metrics import count_macs
from dlrecipes.models import alexnet, googlenet, lenet5, resnet, small_cnn, vgg
from dlrecipes.training import SupervisedTrainer

papers = {
    "LeNet-5": lenet5,
    "AlexNet": lambda: alexnet(kernel_initializer="zeros"),
    "VGG-16": lambda: vgg(16, kernel_initializer="zeros"),
    "GoogLeNet": lambda: googlenet(kernel_initializer="zeros"),
    "ResNet-50": lambda: resnet(50, kernel_initializer="zeros"),
}
billions, millions, dense = {}, {}, {}
for name, build in papers.items():
    network = build()
    billions[name], millions[name] = count_macs(network) / 1e9, network.count_params() / 1e6
    kinds = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    dense[name] = sum(layer.count_params() for layer in kinds) / network.count_params()
    print(f"{name:9} {billions[name]:7.4f} {millions[name]:7.2f} {dense[name]:5.0%}")

# %%
# With images of 224x224, VGG-16 takes 15.5 billion multiply-accumulates and GoogLeNet 1.6 billion.
# A dense layer uses each weight once, a convolution at every position: AlexNet's dense layers hold
# 96 % of its 61 million parameters. GoogLeNet and ResNet average each map instead (全局平均池化)
# and keep a single dense layer, so that GoogLeNet has 7 million. Its parallel convolutions, and
# ResNet's shortcuts (残差连接) :math:`y = x + F(x)`, made greater depth trainable.
#
# **Small versions** of the same networks have an eighth of the channels, except for LeNet-5. A
# small network of today, with batch normalization, joins them. Each sees digits for 10 epochs, in
# a size that suits its layers.
he = {"width": 1 / 8, "dropout": 0.0, "kernel_initializer": "he_normal"}
builders = {
    "LeNet-5": lambda: lenet5(10, (28, 28, 1), padding="same"),
    "AlexNet": lambda: alexnet(10, (67, 67, 1), **he),
    "VGG-11": lambda: vgg(11, 10, (32, 32, 1), **he),
    "GoogLeNet": lambda: googlenet(10, (64, 64, 1), **he),
    "ResNet-18": lambda: resnet(18, 10, (32, 32, 1), stem="small", **he),
    "small CNN": small_cnn,
}
train, _, test = builtin_digits(seed=0)
costs, accuracies = {}, {}
for name, build in builders.items():
    keras.utils.set_random_seed(0)
    network = build()
    x, new = (np.array(keras.ops.image.resize(part.images[..., None], network.input.shape[1:3]))
              / 127.5 - 1 for part in (train, test))  # fmt: skip
    model, decay = SupervisedTrainer(network), keras.optimizers.schedules.CosineDecay(2e-3, 140)
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(decay), loss, steps_per_execution=14)
    model.fit(x, train.labels, batch_size=77, epochs=10, verbose=0)
    probabilities = network.predict(new, batch_size=360, verbose=0)
    costs[name] = count_macs(network) / 1e6
    accuracies[name] = float(np.mean(probabilities.argmax(axis=1) == test.labels))
by_cost = sorted(costs, key=costs.get)
front = [name for place, name in enumerate(by_cost)
         if all(accuracies[name] > accuracies[cheaper] for cheaper in by_cost[:place])]  # fmt: skip
print({name: (round(costs[name], 2), round(accuracies[name], 3)) for name in by_cost}, front)

# %%
# LeNet-5, the cheapest, names at least 95 % of the test digits rightly, and the network of today at
# least 98 % with 4.96 million multiply-accumulates. A network is worth its cost if none that is
# cheaper is as accurate: it is on the Pareto front (帕累托前沿), the orange line.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained")
right.plot([costs[name] for name in front], [accuracies[name] for name in front], color=ORANGE)
for axis, across, up in ((left, billions, millions), (right, costs, accuracies)):
    for place, name in enumerate(sorted(across, key=across.get)):
        axis.scatter(across[name], up[name], color=BLUE, zorder=3)
        at = (6, -4) if axis is left else (-18, 6 - 20 * (place % 2))
        axis.annotate(name, (across[name], up[name]), at, textcoords="offset points", fontsize=9)
    axis.set(xscale="log", xmargin=0.3, ymargin=0.3)
    axis.grid(color=GREY, alpha=0.3)
left.set(yscale="log", title="papers", xlabel="billion operations", ylabel="million parameters")
right.set(title="small versions", xlabel="million operations", ylabel="test accuracy")
plt.show()

# %%
# **At work.** ``--network`` of :doc:`image_classification </gallery/image_classification>` and of
# :doc:`digit_recognition </gallery/digit_recognition>`, whose page has such a figure for MNIST.
#
# *Reference:* Krizhevsky, Sutskever and Hinton, 2012; Simonyan and Zisserman, 2014; Szegedy et al.,
# 2014; He et al., 2015, `Deep residual learning <https://arxiv.org/abs/1512.03385>`_, figure 2.
