"""PyTorch versions of the networks for images that the benchmarks time."""

import math
from collections import OrderedDict

import torch
from torch import nn

NORMALIZATION = {"eps": 1e-5}


def facenet_small(
    filters: tuple[int, ...] = (32, 64, 128, 256),
    channels: int = 3,
    units: int = 128,
    side: int = 0,
) -> nn.Module:
    """Returns the small embedding network, whose embeddings are not scaled to length 1 yet.

    Args:
        filters: Channels of each block. Defaults to `(32, 64, 128, 256)`.
        channels: Channels of the images. Defaults to 3.
        units: Size of the embedding. Defaults to 128.
        side: Height and width of the last feature map if all positions are projected, or 0 for
            their mean. Defaults to 0.
    """
    layers, before = [], channels
    for width in filters:
        layers += [
            nn.Conv2d(before, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, eps=1e-3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        ]
        before = width
    pool = [] if side else [nn.AdaptiveAvgPool2d(1)]
    features = before * max(1, side) ** 2
    return nn.Sequential(*layers, *pool, nn.Flatten(), nn.Linear(features, units))


class Residual(nn.Module):
    """Adds the output of layers to their input, which a shortcut may change.

    Args:
        layers: Layers by name.
        shortcut: Layers of the shortcut by name. Defaults to none: the input itself.
        last: Last layer, or `None`.
    """

    def __init__(self, layers: dict, shortcut: dict | None = None, last: nn.Module | None = None):
        super().__init__()
        self.inside = nn.Sequential(OrderedDict(layers))
        self.shortcut = nn.Sequential(OrderedDict(shortcut)) if shortcut else nn.Identity()
        self.last = last or nn.Identity()

    def forward(self, x):
        """Transforms a batch of feature maps."""
        return self.last(self.shortcut(x) + self.inside(x))


def conv_norm(
    name: str, before: int, filters: int, kernel: int = 3, stride: int = 1, end: str = "relu"
) -> dict:
    """Returns a convolution with batch normalisation, named as in `dlrecipes.models`.

    Args:
        name: Name of the layers.
        before: Channels of the input.
        filters: Channels of the output.
        kernel: Size of the window. Defaults to 3.
        stride: Stride. Defaults to 1.
        end: `"relu"`, `"pool"` for 2x2 max pooling before the normalisation as well, or `"norm"`.
            Defaults to `"relu"`.
    """
    # A window of even size and stride 1 needs one row and column more below and to the right.
    padding = (kernel - 1) // 2 if kernel % 2 or stride > 1 else "same"
    layers = {f"{name}_conv": nn.Conv2d(before, filters, kernel, stride, padding, bias=False)}
    if end == "pool":
        layers[f"{name}_pool"] = nn.MaxPool2d(2)
    layers[f"{name}_norm"] = nn.BatchNorm2d(filters, **NORMALIZATION)
    if end != "norm":
        layers[f"{name}_relu"] = nn.ReLU(inplace=True)
    return layers


def classifier(before: int, classes: int) -> dict:
    """Returns the mean over the image and the scores of the classes."""
    return {
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "predictions": nn.Linear(before, classes),
    }


def small_resnet(classes: int, size: int, width: float) -> nn.Module:
    """Returns image_classification's default network for images of a size."""
    stride = max(1, size // 32)
    before, *stages = [round(filters * width) for filters in (16, 16, 64, 128)]
    layers = conv_norm("stem", 3, before, 2 * stride, stride)
    for number, filters in enumerate(stages, 1):
        layers |= conv_norm(f"stage{number}", before, filters, end="pool")
        block = f"stage{number}_1"
        layers[block] = Residual(conv_norm(block, filters, filters))
        before = filters
    return nn.Sequential(OrderedDict(layers | classifier(before, classes)))


def resnet18(classes: int, size: int, width: float) -> nn.Module:
    """Returns the residual network of 18 layers with the stem for small images."""
    filters = [round(channels * width) for channels in (64, 128, 256, 512)]
    before = filters[0]
    layers = conv_norm("conv1", 3, before)
    for stage, channels in enumerate(filters, 2):
        for number in (1, 2):
            block = f"conv{stage}_{number}"
            stride = 2 if number == 1 and stage > 2 else 1
            inside = conv_norm(f"{block}_1", before, channels, 3, stride)
            inside |= conv_norm(f"{block}_2", channels, channels, end="norm")
            name = f"{block}_shortcut"
            shortcut = conv_norm(name, before, channels, 1, stride, "norm") if stride > 1 else None
            layers[block] = Residual(inside, shortcut, nn.ReLU(inplace=True))
            before = channels
    return nn.Sequential(OrderedDict(layers | classifier(before, classes)))


def small_cnn() -> nn.Module:
    """Returns one network of digit_recognition's default ensemble."""
    layers, before = [], 1
    for number, (filters, kernel) in enumerate(((32, 5), (64, 3), (64, 3), (128, 3))):
        layers += [
            nn.Conv2d(before, filters, kernel, bias=False),
            nn.BatchNorm2d(filters, eps=1e-3),
            nn.ReLU(inplace=True),
        ]
        if number in (0, 2):
            layers.append(nn.MaxPool2d(2))
        before = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, 10))


class DigitEnsemble(nn.Module):
    """Three networks that train independently on the same images."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList(small_cnn() for _ in range(3))

    def forward(self, images):
        """Returns the scores of all members, one after the other."""
        return torch.cat([member(images) for member in self.members])


def distorted(
    images,
    alpha: float = 0.0,
    sigma: float = 4.0,
    shift: float = 0.0,
    rotation: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    zoom: float = 0.0,
):
    """Returns images with the random distortions of `dlrecipes.layers.ElasticDistortion`.

    Args:
        images: Square images, channels first.
        alpha: Strength of the elastic field, in pixels; 0 disables it. Defaults to 0.
        sigma: Standard deviation of its blur, in pixels. Defaults to 4.
        shift: Largest shift, in pixels. Defaults to 0.
        rotation: Largest angle, in degrees. Defaults to 0.
        scale: Largest relative change of height and of width. Defaults to 0.
        shear: Largest shear, in pixels per row. Defaults to 0.
        zoom: Largest relative change of size. Defaults to 0.
    """
    count, side = len(images), images.shape[-1]

    def uniform(largest: float):
        return largest * (2 * torch.rand(count, 1, 1) - 1)

    angle, slant = uniform(math.radians(rotation)), uniform(shear)
    tall, wide = (torch.exp(uniform(math.log1p(scale))) for _ in range(2))
    if zoom:
        both = torch.exp(uniform(math.log1p(zoom)))
        tall, wide = both * tall, both * wide
    y = (torch.arange(side) - (side - 1) / 2)[None, :, None]
    x = (torch.arange(side) - (side - 1) / 2)[None, None, :]
    slanted = x + slant * y
    down = tall * (torch.cos(angle) * y + torch.sin(angle) * slanted) + uniform(shift)
    right = wide * (torch.cos(angle) * slanted - torch.sin(angle) * y) + uniform(shift)
    if alpha:
        field = elastic_field(count, side, alpha, sigma)
        down, right = down + field[:, 0], right + field[:, 1]
    grid = torch.stack([right, down], 3) * (2 / (side - 1))
    return nn.functional.grid_sample(images, grid, align_corners=True)


def elastic_field(count: int, side: int, alpha: float, sigma: float):
    """Returns a smooth random displacement of each pixel, of shape `(count, 2, side, side)`."""
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(side)[:, None] - torch.arange(side)
    blur = torch.exp(-0.5 * (offsets / sigma) ** 2) * (offsets.abs() <= reach)
    blur = blur / torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).sum()
    return blur @ (alpha * (2 * torch.rand(count, 2, side, side) - 1)) @ blur
