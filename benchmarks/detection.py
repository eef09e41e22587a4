"""Times a training step of Faster R-CNN, also in torchvision.

Both train the same backbone (the stages of `small_resnet`), proposal network and head, with the
same anchors, image size, batch and numbers of sampled boxes, on the same images and boxes, which
are in memory. Both keep up to 2000 of the best 2000 proposals. race.py explains how times are
measured. Before, the numbers of parameters are compared.

    python benchmarks/detection.py                       all workloads, table and CSV
    python benchmarks/detection.py --only "stride 16"

Needs PyTorch and torchvision: `pip install torch==2.14.1 torchvision==0.29.1`.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import race

TORCH = "torchvision fused Adam"
CLASSES, OBJECTS, STEM, UNITS, CHANNELS = 6, 8, 32, 256, 128
SIZES, RATIOS, PROPOSALS, REGIONS = (32, 64, 128), (0.5, 1.0, 2.0), 2000, 128
RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A network to train.

    Args:
        filters: Channels of the backbone's stages; the stem and each stage halve the size.
        size: Height and width of the images. Defaults to 256.
        batch: Number of images per step. Defaults to 8.
        steps: Number of steps per block. Defaults to 5.
        limits: Target ratios of our time to another one, by contender.
    """

    filters: tuple[int, ...]
    size: int = 256
    batch: int = 8
    steps: int = 5
    limits: dict = field(default_factory=lambda: {TORCH: 1.0})

    @property
    def stride(self) -> int:
        """Pixels between positions of the feature map."""
        return 2 ** (1 + len(self.filters))


WORKLOADS = {"stride 8": Workload((32, 64)), "stride 16": Workload((32, 64, 128))}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    return ["dlrecipes", TORCH]


def data(work: Workload) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns random images from 0 to 1, boxes and classes."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (work.batch, work.size, work.size, 3)).astype("float32")
    corner = rng.uniform(0, 0.6, (work.batch, OBJECTS, 2))
    sides = rng.uniform(0.1, 0.4, corner.shape)
    boxes = np.concatenate([corner, corner + sides], axis=-1) * work.size
    return images, boxes.astype("float32"), rng.integers(0, CLASSES, corner.shape[:2], "int32")


def keras_network(work: Workload):
    """Returns our network."""
    import keras

    from dlrecipes.models import faster_rcnn, small_resnet

    shape = (work.size, work.size, 3)
    whole = small_resnet(1, shape, STEM, 2, work.filters)
    features = whole.get_layer(f"stage{len(work.filters)}_1").output
    return faster_rcnn(
        keras.Model(whole.input, features),
        CLASSES,
        SIZES,
        RATIOS,
        work.stride,
        CHANNELS,
        min_size=1,
        units=UNITS,
        dropout=0.0,
    )


def keras_trainer(work: Workload) -> race.Train:
    """Returns the function that trains with our trainer."""
    import keras
    import tensorflow as tf

    from dlrecipes.training import FasterRCNN

    names = [str(number) for number in range(CLASSES)]
    model = FasterRCNN(
        keras_network(work), names, num_proposals=PROPOSALS, max_candidates=PROPOSALS
    )
    model.compile(keras.optimizers.Adam(RATE))
    images, boxes, classes = data(work)
    batches = tf.data.Dataset.from_tensors((images, {"boxes": boxes, "classes": classes})).repeat()
    return race.clocked(model, lambda steps: ((batches,), {"steps_per_epoch": steps}))


def torch_network(work: Workload):
    """Returns torchvision's detector with the same layers."""
    from torch import nn
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.ops import MultiScaleRoIAlign

    def conv(inputs, outputs, kernel, stride, pool=False):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False)
        pooled = [nn.MaxPool2d(2)] if pool else []
        return nn.Sequential(layer, *pooled, nn.BatchNorm2d(outputs), nn.ReLU())

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = conv(channels, channels, 3, 1)

        def forward(self, x):
            return x + self.conv(x)

    class ProposalHead(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.conv = nn.Conv2d(inputs, CHANNELS, 3, 1, 1)
            self.scores = nn.Conv2d(CHANNELS, len(SIZES) * len(RATIOS), 1)
            self.deltas = nn.Conv2d(CHANNELS, 4 * len(SIZES) * len(RATIOS), 1)

        def forward(self, maps):
            hidden = [self.conv(x).relu() for x in maps]
            return [self.scores(x) for x in hidden], [self.deltas(x) for x in hidden]

    parts, channels = [conv(3, STEM, 4, 2)], STEM
    for filters in work.filters:
        parts += [conv(channels, filters, 3, 1, pool=True), Block(filters)]
        channels = filters
    backbone = nn.Sequential(*parts)
    backbone.out_channels = channels
    return FasterRCNN(
        backbone,
        min_size=work.size,
        max_size=work.size,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator((SIZES,), (RATIOS,)),
        rpn_head=ProposalHead(channels),
        rpn_pre_nms_top_n_train=PROPOSALS,
        rpn_post_nms_top_n_train=PROPOSALS,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=TwoMLPHead(channels * 49, UNITS),
        box_predictor=FastRCNNPredictor(UNITS, CLASSES + 1),
        box_batch_size_per_image=REGIONS,
    )


def torch_trainer(work: Workload) -> race.Train:
    """Returns the function that trains with torchvision."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    network = torch_network(work).train()
    optimizer = torch.optim.Adam(network.parameters(), RATE, fused=True)
    images, boxes, classes = map(torch.from_numpy, data(work))
    images = list(images.permute(0, 3, 1, 2).contiguous())
    # Class 0 is the background.
    targets = [
        {"boxes": own, "labels": numbers.long() + 1}
        for own, numbers in zip(boxes, classes, strict=True)
    ]

    def step():
        optimizer.zero_grad()
        sum(network(images, targets).values()).backward()
        optimizer.step()

    return race.stepped(step)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    return keras_trainer(work) if contender == "dlrecipes" else torch_trainer(work)


def print_checks() -> None:
    """Prints the numbers of parameters.

    Raises:
        ValueError: If they differ between the contenders.
    """
    for name, work in WORKLOADS.items():
        weights = keras_network(work).trainable_variables
        ours = sum(weight.numpy().size for weight in weights)
        theirs = sum(parameter.numel() for parameter in torch_network(work).parameters())
        # torchvision also has four deltas for the background.
        theirs -= 4 * (UNITS + 1)
        if ours != theirs:
            raise ValueError(f"{name}: the networks have {ours:,} and {theirs:,} parameters.")
        print(f"{name:12} {ours:,} parameters")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        print_checks()
        sys.exit()
    if "--contender" not in sys.argv:
        # In a process of its own: the race must not hold both packages' threads and memory.
        subprocess.run([sys.executable, __file__, "--check"], check=True)
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
