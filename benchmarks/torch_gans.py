"""PyTorch versions of the generators and discriminators that the benchmarks time."""

import torch
from torch import nn
from torch_networks import NORMALIZATION


class Conditional(nn.Module):
    """Layers that read the one-hot label as further channels of their input.

    Args:
        classes: Number of classes.
        layers: Layers that follow.
    """

    def __init__(self, classes: int, layers: nn.Module):
        super().__init__()
        self.classes, self.layers = classes, layers

    def forward(self, x, label):
        """Transforms a batch of noise vectors or images, given their classes."""
        one_hot = nn.functional.one_hot(label, self.classes).to(x.dtype)
        planes = one_hot[(..., *[None] * (x.ndim - 2))].expand(-1, -1, *x.shape[2:])
        return self.layers(torch.cat([x, planes], 1))


def dcgan_generator(
    filters: int, size: int = 64, channels: int = 3, latent_size: int = 100, classes: int = 0
) -> nn.Module:
    """Returns the generator, whose first feature map is 4x4.

    Args:
        filters: Channels before the last convolution.
        size: Height and width of the images, a power of two. Defaults to 64.
        channels: Channels of the images. Defaults to 3.
        latent_size: Number of noise values. Defaults to 100.
        classes: Number of classes; 0 leaves the label out. Defaults to 0.
    """
    doublings = size.bit_length() - 3
    width = filters << (doublings - 1)
    layers = [
        nn.Linear(latent_size + classes, 16 * width, bias=False),
        nn.Unflatten(1, (width, 4, 4)),
        nn.BatchNorm2d(width, **NORMALIZATION),
        nn.ReLU(inplace=True),
    ]
    for _ in range(doublings - 1):
        layers += [
            nn.ConvTranspose2d(width, width // 2, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(width // 2, **NORMALIZATION),
            nn.ReLU(inplace=True),
        ]
        width //= 2
    network = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 5, 2, 2, 1), nn.Tanh())
    return Conditional(classes, network) if classes else network


def dcgan_discriminator(
    filters: int, size: int = 64, channels: int = 3, classes: int = 0
) -> nn.Module:
    """Returns the discriminator, whose last feature map is 4x4.

    Args:
        filters: Channels after the first convolution.
        size: Height and width of the images, a power of two. Defaults to 64.
        channels: Channels of the images. Defaults to 3.
        classes: Number of classes; 0 leaves the label out. Defaults to 0.
    """
    layers = [nn.Conv2d(channels + classes, filters, 5, 2, 2), nn.LeakyReLU(0.2, inplace=True)]
    width = filters
    for _ in range(size.bit_length() - 4):
        layers += [
            nn.Conv2d(width, 2 * width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(2 * width, **NORMALIZATION),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width *= 2
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, 1))
    return Conditional(classes, network) if classes else network


class UNet(nn.Module):
    """The generator of pix2pix.

    Args:
        levels: Number of times the height and width are halved.
        filters: Number of filters of the first layer. Defaults to 64.
        dropout: Dropout rate of the first three decoder layers. Defaults to 0.5.
        upsampling: `"transposed"` for transposed convolutions, or `"nearest"` or `"bilinear"` for
            that interpolation and 3x3 convolutions. Defaults to `"transposed"`.
        final_filters: Filters of a 3x3 convolution at full resolution, which also reads the input,
            or 0 for none. Defaults to 0.
    """

    def __init__(
        self,
        levels: int,
        filters: int = 64,
        dropout: float = 0.5,
        upsampling: str = "transposed",
        final_filters: int = 0,
    ):
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            before = 3 if level == 0 else widths[level - 1]
            layers = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(before, width, 4, 2, 1, bias=False))
            if 0 < level < levels - 1:
                layers.append(nn.BatchNorm2d(width, **NORMALIZATION))
            self.down.append(nn.Sequential(*layers))
        for done, level in enumerate(reversed(range(1, levels))):
            before = widths[level] * (2 if done else 1)
            layers = [
                # In place: the input is the last encoder's output or a concatenated copy.
                nn.ReLU(inplace=True),
                *doubled(upsampling, before, widths[level - 1], bias=False),
                nn.BatchNorm2d(widths[level - 1], **NORMALIZATION),
            ]
            if dropout and done < 3:
                layers.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*layers))
        if final_filters:
            mode = "nearest" if upsampling == "nearest" else "bilinear"
            self.enlarge = nn.Sequential(
                nn.ReLU(inplace=True), nn.Upsample(scale_factor=2, mode=mode)
            )
            last = [
                nn.Conv2d(2 * widths[0] + 3, final_filters, 3, 1, 1, bias=False),
                nn.BatchNorm2d(final_filters, **NORMALIZATION),
                nn.ReLU(inplace=True),
                nn.Conv2d(final_filters, 3, 3, 1, 1),
            ]
        else:
            self.enlarge = None
            last = [nn.ReLU(inplace=True), *doubled(upsampling, 2 * widths[0], 3, bias=True)]
        self.last = nn.Sequential(*last, nn.Tanh())

    def forward(self, x):
        """Translates a batch of images."""
        image, encoded = x, []
        for layer in self.down:
            x = layer(x)
            encoded.append(x)
        for layer, skipped in zip(self.up, encoded[-2::-1], strict=True):
            x = torch.cat([layer(x), skipped], 1)
        if self.enlarge is not None:
            x = torch.cat([self.enlarge(x), image], 1)
        return self.last(x)


def doubled(upsampling: str, before: int, filters: int, bias: bool) -> list[nn.Module]:
    """Returns the layers that double height and width.

    Args:
        upsampling: `"transposed"`, `"nearest"` or `"bilinear"`, as for `UNet`.
        before: Channels of the input.
        filters: Channels of the output.
        bias: Whether a bias is added.
    """
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(before, filters, 4, 2, 1, bias=bias)]
    resized = nn.Upsample(scale_factor=2, mode=upsampling)
    return [resized, nn.Conv2d(before, filters, 3, padding=1, bias=bias)]


def patchgan(filters: int = 64, layers: int = 3) -> nn.Module:
    """Returns the discriminator of pix2pix, for two images concatenated along the channels.

    Args:
        filters: Number of filters of the first layer. Defaults to 64.
        layers: Number of strided convolutions; with 0, all convolutions are 1x1. Defaults to 3.
    """
    kernel, padding = (4, 1) if layers else (1, 0)
    modules, before = [], 6
    for layer in range(max(layers, 1) + 1):
        width, stride = filters * min(2**layer, 8), 2 if layer < layers else 1
        modules.append(nn.Conv2d(before, width, kernel, stride, padding, bias=layer == 0))
        if layer:
            modules.append(nn.BatchNorm2d(width, **NORMALIZATION))
        modules.append(nn.LeakyReLU(0.2, inplace=True))
        before = width
    return nn.Sequential(*modules, nn.Conv2d(before, 1, kernel, 1, padding))
