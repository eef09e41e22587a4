"""Times a training step of Faster R-CNN, also in torchvision.

Both train the same backbone (the stages of `small_resnet`), proposal network and head, with the
same anchors, image size, batch and numbers of sampled boxes, on the same images and boxes, which
are in memory. "stride 8" and "stride 16" have one feature map, and keep up to 2000 of the best 2000
proposals. "pyramid" is the network of the recipe object_detection with its default settings, with a
feature pyramid of strides 8, 16 and 32, and keeps 300 proposals of the best 2000; torchvision has
its own `FeaturePyramidNetwork` and `MultiScaleRoIAlign`, which choose the same level for a region,
and suppresses the proposals of each level separately, as it always does. race.py explains how times
are measured. Before, the numbers of parameters are compared.

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

TORCH = "torchvision|torchvision channels_last"
CLASSES, OBJECTS, UNITS = 6, 8, 256
RATIOS, CANDIDATES, REGIONS, POOL = (0.5, 1.0, 2.0), 2000, 128, 7
# Size of the regions that belong to the stride of 16, and that level's number in torchvision.
CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4
RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A network to train.

    Args:
        filters: Channels of the backbone's stages; the stem and each stage halve the size.
        stem: Channels of the stem. Defaults to 32.
        levels: Number of the last stages whose maps are used; a pyramid if there are several.
            Defaults to 1.
        channels: Channels of the proposal network, and of the pyramid. Defaults to 128.
        sizes: Square roots of the anchors' areas; one per level of a pyramid. Defaults to
            `(32, 64, 128)`.
        proposals: Number of proposals per image. Defaults to 2000.
        size: Height and width of the images. Defaults to 256.
        batch: Number of images per step. Defaults to 8.
        steps: Number of steps per block. Defaults to 5.
        limits: Target ratios of our time to another one, by contender.
    """

    filters: tuple[int, ...]
    stem: int = 32
    levels: int = 1
    channels: int = 128
    sizes: tuple[float, ...] = (32, 64, 128)
    proposals: int = 2000
    size: int = 256
    batch: int = 8
    steps: int = 5
    limits: dict = field(default_factory=lambda: {TORCH: 1.0})

    @property
    def stages(self) -> list[int]:
        """Numbers of the stages whose maps are used, from 1."""
        last = len(self.filters)
        return list(range(last - self.levels + 1, last + 1))

    @property
    def strides(self) -> list[int]:
        """Pixels between positions of each feature map."""
        return [2 ** (1 + stage) for stage in self.stages]

    @property
    def anchors(self) -> int:
        """Anchors at each position of a feature map."""
        return len(self.sizes) // self.levels * len(RATIOS)


WORKLOADS = {
    "stride 8": Workload((32, 64)),
    "stride 16": Workload((32, 64, 128)),
    "pyramid": Workload(
        (16, 64, 128, 256),
        stem=16,
        levels=3,
        channels=64,
        sizes=(24, 48, 96),
        proposals=300,
        size=192,
    ),
}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    return ["dlrecipes", *TORCH.split("|")]


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

    from dlrecipes.models import faster_rcnn, feature_pyramid, small_resnet

    whole = small_resnet(1, (work.size, work.size, 3), work.stem, 2, work.filters)
    maps = [whole.get_layer(f"stage{stage}_1").output for stage in work.stages]
    backbone = keras.Model(whole.input, maps)
    return faster_rcnn(
        feature_pyramid(backbone, filters=work.channels) if work.levels > 1 else backbone,
        CLASSES,
        work.sizes,
        RATIOS,
        work.strides,
        work.channels,
        max_candidates=CANDIDATES,
        min_size=work.size / 64,
        pool_size=POOL,
        units=UNITS,
        dropout=0.0,
        canonical_size=CANONICAL_SIZE,
    )


def keras_trainer(work: Workload) -> race.Train:
    """Returns the function that trains with our trainer."""
    import keras
    import tensorflow as tf

    from dlrecipes.training import FasterRCNN

    names = [str(number) for number in range(CLASSES)]
    model = FasterRCNN(
        keras_network(work), names, num_proposals=work.proposals, max_candidates=CANDIDATES
    )
    model.compile(keras.optimizers.Adam(RATE))
    images, boxes, classes = data(work)
    batches = tf.data.Dataset.from_tensors((images, {"boxes": boxes, "classes": classes})).repeat()
    return race.clocked(model, lambda steps: ((batches,), {"steps_per_epoch": steps}))


def torch_backbone(work: Workload):
    """Returns torchvision's network from an image to feature maps by level."""
    from collections import OrderedDict

    from torch import nn
    from torchvision.ops import FeaturePyramidNetwork

    def conv(inputs, outputs, kernel, stride, pool=False):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False)
        pooled = [nn.MaxPool2d(2)] if pool else []
        return nn.Sequential(layer, *pooled, nn.BatchNorm2d(outputs), nn.ReLU())

    class Stage(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.first = conv(inputs, outputs, 3, 1, pool=True)
            self.block = conv(outputs, outputs, 3, 1)

        def forward(self, x):
            x = self.first(x)
            return x + self.block(x)

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            channels = [work.stem, *work.filters]
            self.stem = conv(3, work.stem, 4, 2)
            pairs = zip(channels, work.filters, strict=False)
            self.stages = nn.ModuleList(Stage(*pair) for pair in pairs)
            used = [channels[stage] for stage in work.stages]
            is_pyramid = work.levels > 1
            self.pyramid = FeaturePyramidNetwork(used, work.channels) if is_pyramid else None
            self.out_channels = work.channels if is_pyramid else channels[-1]

        def forward(self, x):
            x, maps = self.stem(x), OrderedDict()
            for stage, layer in enumerate(self.stages, 1):
                x = layer(x)
                if stage in work.stages:
                    maps[f"stage{stage}"] = x
            return maps if self.pyramid is None else self.pyramid(maps)

    return Backbone()


def torch_network(work: Workload):
    """Returns torchvision's detector with the same layers."""
    from torch import nn
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.ops import MultiScaleRoIAlign

    class ProposalHead(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.conv = nn.Conv2d(inputs, work.channels, 3, 1, 1)
            self.scores = nn.Conv2d(work.channels, work.anchors, 1)
            self.deltas = nn.Conv2d(work.channels, 4 * work.anchors, 1)

        def forward(self, maps):
            hidden = [self.conv(x).relu() for x in maps]
            return [self.scores(x) for x in hidden], [self.deltas(x) for x in hidden]

    backbone = torch_backbone(work)
    sizes = [(size,) for size in work.sizes] if work.levels > 1 else [work.sizes]
    return FasterRCNN(
        backbone,
        min_size=work.size,
        max_size=work.size,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator(tuple(sizes), (RATIOS,) * work.levels),
        rpn_head=ProposalHead(backbone.out_channels),
        rpn_pre_nms_top_n_train=CANDIDATES,
        rpn_post_nms_top_n_train=work.proposals,
        box_roi_pool=MultiScaleRoIAlign(
            [f"stage{stage}" for stage in work.stages],
            POOL,
            2,
            canonical_scale=CANONICAL_SIZE,
            canonical_level=CANONICAL_LEVEL,
        ),
        box_head=TwoMLPHead(backbone.out_channels * POOL**2, UNITS),
        box_predictor=FastRCNNPredictor(UNITS, CLASSES + 1),
        box_batch_size_per_image=REGIONS,
    )


def torch_trainer(work: Workload, channels_last: bool) -> race.Train:
    """Returns the function that trains with torchvision.

    Args:
        work: The network.
        channels_last: Whether weights have the memory format `channels_last`.
    """
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    form = torch.channels_last if channels_last else torch.contiguous_format
    network = torch_network(work).train().to(memory_format=form)
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
    if contender == "dlrecipes":
        return keras_trainer(work)
    return torch_trainer(work, "channels_last" in contender)


def print_checks() -> None:
    """Prints the numbers of parameters.

    Raises:
        ValueError: If they differ between the contenders.
    """
    # First, because torchvision cannot be imported after TensorFlow everywhere.
    counts = {
        name: sum(parameter.numel() for parameter in torch_network(work).parameters())
        for name, work in WORKLOADS.items()
    }
    for name, work in WORKLOADS.items():
        weights = keras_network(work).trainable_variables
        ours = sum(weight.numpy().size for weight in weights)
        # torchvision also has four deltas for the background.
        theirs = counts[name] - 4 * (UNITS + 1)
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
