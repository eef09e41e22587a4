r"""
Triplet loss and the matrix of distances (三元组损失与距离矩阵)
===============================================================

An embedding (嵌入) is a vector for each image, such that images of one person lie close together.
See the distances between faces of people that the network has not seen, before and after training,
and how the choice of triplets decides about success.
"""

# %%
# **The loss.** A triplet is an anchor :math:`a`, a positive :math:`p` (正样本) of the same person,
# and a negative :math:`n` (负样本) of another one. With :math:`d` the squared distance of their
# embeddings, which have length one, and a margin :math:`\alpha` (间隔), a triplet costs
#
# .. math:: \max\bigl(0,\; d(a, p) - d(a, n) + \alpha\bigr) .
#
# Most triplets soon cost nothing, so those worth learning from are mined in each batch. A hard
# negative (难样本) is the nearest one, a semi-hard one (半难样本) the nearest of those that are
# farther from the anchor than the positive.
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.data.identities import pk_batches
from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.layers import PairwiseDistances
from dlrecipes.metrics.embeddings import embedding_scores
from dlrecipes.models import facenet_small
from dlrecipes.training import TripletEmbedding

PEOPLE, UNSEEN, IMAGES, STEPS, EPOCHS = 120, 20, 8, 25, 16
faces, people = generated_faces(PEOPLE, IMAGES, seed=0, size=32)
x = faces.mean(axis=-1, keepdims=True).astype("float32") / 127.5 - 1
known, new = people < PEOPLE - UNSEEN, people >= PEOPLE - UNSEEN
figure, axis = plt.subplots(figsize=(7.2, 2.8), layout="constrained")
rows = faces[new][: 3 * IMAGES].reshape(3, IMAGES, 32, 32, 3)
axis.imshow(np.vstack([np.hstack(row) for row in rows]))
axis.axis("off")
plt.show()

# %%
# The figure shows 3 of the 20 people who are not in the training data, one in each row. A batch has
# four images each of 20 people (PK 采样), so that every image has positives and negatives in it.
batches = pk_batches(x[known], people[known], identities=20, images=4, seed=0, steps=STEPS)
matrices, scores, histories = {}, {}, {}
for mining in ("before", "semi_hard", "hard"):
    keras.utils.set_random_seed(0)
    network = facenet_small((32, 32, 1), embedding_units=32, filters=(16, 32, 64))
    if mining != "before":
        model = TripletEmbedding(network, margin=0.2, mining=mining)
        decay = keras.optimizers.schedules.CosineDecay(3e-3, STEPS * EPOCHS)
        model.compile(keras.optimizers.Adam(decay), steps_per_execution=STEPS)
        fitted = model.fit(batches, epochs=EPOCHS, steps_per_epoch=STEPS, shuffle=False, verbose=0)
        histories[mining] = fitted.history
    embeddings = network.predict(x[new], batch_size=len(x), verbose=0)
    matrices[mining] = np.array(PairwiseDistances()(embeddings))
    scores[mining] = embedding_scores(embeddings, people[new], seed=0)
auc = {mining: score["auc"] for mining, score in scores.items()}
rank1 = {mining: score["rank1"] for mining, score in scores.items()}
active = {mining: history["active_triplets"] for mining, history in histories.items()}
loss = {mining: history["loss"] for mining, history in histories.items()}
apart = float(matrices["hard"].mean())
print({name: f"AUC {auc[name]:.3f}, nearest is right {rank1[name]:.3f}" for name in auc})

# %%
# **What came out.** The AUC is the probability that two images of one person are closer than two of
# different people. Before training it is below 0.6, and 0.5 would be chance. Semi-hard triplets
# bring it above 0.88, and the fraction of mined triplets that still cost something falls from 1.00
# to less than 0.4. Hard triplets fail: all embeddings collapse (坍缩) into nearly one point, with a
# mean distance below 0.02, where each triplet costs the margin of 0.20.
figure, axes = plt.subplots(1, 4, figsize=(7.4, 2.4), layout="constrained")
titles = ("before training", "semi-hard", "hard")
for axis, (mining, matrix), title in zip(axes, matrices.items(), titles, strict=False):
    axis.imshow(matrix[: 6 * IMAGES, : 6 * IMAGES], cmap="Greys_r", vmin=0, vmax=2.5)
    middles = np.arange(6) * IMAGES + IMAGES / 2 - 0.5
    axis.set(xticks=middles, xticklabels="123456", yticks=middles, yticklabels="123456")
    axis.set_title(f"{title}\nAUC {auc[mining]:.2f}", fontsize=9)
axes[0].set_ylabel("person")
for (mining, values), colour in zip(active.items(), (BLUE, ORANGE), strict=True):
    axes[3].plot(np.arange(1, EPOCHS + 1), values, color=colour, label=mining.replace("_", "-"))
axes[3].set(xlabel="epoch", ylim=(0, 1.05), yticks=(0, 1))
axes[3].set_title("triplets that cost", fontsize=9)
axes[3].legend(fontsize=8)
plt.show()

# %%
# In the matrices, dark is close. After semi-hard training, dark squares on the diagonal are the
# people, one square each.
#
# **At work.** The recipe :doc:`facenet </gallery/facenet>` verifies and identifies faces this way.
#
# *Reference:* Schroff, Kalenichenko and Philbin, 2015, `FaceNet <https://arxiv.org/abs/1503.03832>`_;
# Hermans, Beyer and Leibe, 2017, `In defense of the triplet loss for person re-identification
# <https://arxiv.org/abs/1703.07737>`_.
