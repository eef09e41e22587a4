r"""
Anchors, proposals and suppression (锚框、候选区域与非极大值抑制)
=================================================================

A detector gives an answer for thousands of boxes at once. See on one image how anchors become
training targets, how predicted deltas turn them into proposals, and how suppression leaves one box
per object.
"""

# %%
# **Anchors** (锚框) of three sizes and three shapes are centred at each position of a feature map.
# The built-in scene has 192x192 pixels, and the map one position per 16 pixels in each direction.
import matplotlib.pyplot as plt
import numpy as np

from dlrecipes.data.generated.scenes import scenes
from dlrecipes.figures import BLUE, ORANGE
from dlrecipes.layers import AnchorBoxes, BoxCoder, BoxMatcher, NonMaxSuppression, RegionProposals

images, objects, _ = scenes(1, seed=4)
truth = objects[0]
stride, features = 16, np.zeros((1, 12, 12, 1), "float32")
anchors = np.array(AnchorBoxes((24, 40, 64), ratios=(0.5, 1, 2), stride=stride)(features))

# %%
# **Targets.** Overlap is measured by intersection over union (交并比):
#
# .. math:: \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|}
#
# An anchor is positive (正样本) from an overlap of 0.7 with an object on, negative (负样本) below
# 0.3 with all objects, and ignored in between or beyond the edge. The best anchor of each object is
# positive in any case.
match = {name: np.array(value)[0] for name, value in BoxMatcher(0.7, 0.3)(
    anchors, truth[None], images).items()}  # fmt: skip
positive, negative = int((match["labels"] == 1).sum()), int((match["labels"] == 0).sum())
found = len(np.unique(match["indices"][match["labels"] == 1]))
print(f"{len(truth)} objects, {len(anchors)} anchors: {positive} positive, {negative} negative")

# %%
# Of 1,296 anchors, 7 are positive and 659 negative. Each of the 6 objects has a positive one.
#
# **Deltas** (回归偏移量). A network predicts how to move and stretch each anchor, whose centre is
# :math:`(x_a, y_a)` and whose size is :math:`(w_a, h_a)`:
#
# .. math:: t_x = \frac{x - x_a}{w_a}, \quad t_y = \frac{y - y_a}{h_a}, \quad
#    t_w = \log\frac{w}{w_a}, \quad t_h = \log\frac{h}{h_a}
#
# No network is trained here. Its predictions are imitated: the deltas by the right ones with noise,
# and the score for an object (logit) by the anchor's overlap with noise.
rng = np.random.default_rng(0)
coder = BoxCoder()


def overlap(a, b):
    """Returns the intersection over union of boxes, row by row."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return common / (areas[0] + areas[1] - common)


overlaps = overlap(anchors, match["boxes"])
deltas = np.array(coder.encode(match["boxes"], anchors))
round_trip = float(np.abs(np.array(coder(deltas, anchors)) - match["boxes"]).max())
# Anchors far from all objects stay where they are.
deltas = np.where(overlaps[:, None] >= 0.3, deltas, 0) + rng.normal(0, 0.05, deltas.shape)
logits = 10 * (overlaps - 0.5) + rng.normal(0, 0.5, len(anchors))

# %%
# **Suppression** keeps the box with the highest score and removes all that overlap it by more than
# a threshold, then goes to the best of the rest. With a threshold of 0.7, it leaves the proposals
# (候选区域), the boxes worth a second look; with 0.5, one box per object.
proposals = RegionProposals(30, iou_threshold=0.7)(
    *(value[None].astype("float32") for value in (logits, deltas)), anchors, images)  # fmt: skip
boxes = np.array(proposals["boxes"])[0]
kept = NonMaxSuppression(len(truth), iou_threshold=0.5)(boxes[None], proposals["scores"])
best = np.array(kept["boxes"])[0]
hits = int(sum(overlap(np.tile(box, (len(best), 1)), best).max() >= 0.7 for box in truth))
print(f"{len(boxes)} boxes, {len(best)} kept; {hits} objects found; round trip {round_trip:.1e}")

# %%
# Encoded and decoded, a box moves by less than 0.001 pixels. From 1,296 predicted boxes come 30
# proposals, and from these 6 boxes. They find 6 of the six objects with an overlap above 0.7.
figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.7), layout="constrained")
panels = {f"{positive} positive anchors": (anchors[match["labels"] == 1], BLUE),
          f"{len(boxes)} proposals": (boxes, ORANGE),
          f"{len(best)} kept": (best, ORANGE)}  # fmt: skip
for axis, (name, (drawn, colour)) in zip(axes, panels.items(), strict=True):
    axis.imshow(images[0] // 2 + 127)
    for left, top, right, bottom in drawn:
        axis.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour,
                  linewidth=1.2)  # fmt: skip
    axis.set(xlim=(0, 192), ylim=(192, 0), xticks=(), yticks=())
    axis.set_title(name, fontsize=10)
plt.show()

# %%
# **At work.** All of this is in the recipe :doc:`object_detection </gallery/object_detection>`.
#
# *Reference:* Ren, He, Girshick and Sun, 2015, `Faster R-CNN <https://arxiv.org/abs/1506.01497>`_.
