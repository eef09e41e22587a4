"""PyTorch versions of the networks of `dlrecipes.models` that loops.py times."""

import torch
from torch import nn

NORMALIZATION = {"eps": 1e-5}


def dcgan_generator(filters: int) -> nn.Module:
    """Returns the generator of 64x64 images from noise of size 100."""
    width = 8 * filters
    layers = [
        nn.Linear(100, 16 * width, bias=False),
        nn.Unflatten(1, (width, 4, 4)),
        nn.BatchNorm2d(width, **NORMALIZATION),
        nn.ReLU(inplace=True),
    ]
    for _ in range(3):
        layers += [
            nn.ConvTranspose2d(width, width // 2, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(width // 2, **NORMALIZATION),
            nn.ReLU(inplace=True),
        ]
        width //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 5, 2, 2, 1), nn.Tanh())


def dcgan_discriminator(filters: int) -> nn.Module:
    """Returns the discriminator of 64x64 images."""
    layers = [nn.Conv2d(3, filters, 5, 2, 2), nn.LeakyReLU(0.2, inplace=True)]
    width = filters
    for _ in range(3):
        layers += [
            nn.Conv2d(width, 2 * width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(2 * width, **NORMALIZATION),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width *= 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, 1))


class UNet(nn.Module):
    """The generator of pix2pix.

    Args:
        levels: Number of times the height and width are halved.
        filters: Number of filters of the first layer. Defaults to 64.
    """

    def __init__(self, levels: int, filters: int = 64):
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
                nn.ConvTranspose2d(before, widths[level - 1], 4, 2, 1, bias=False),
                nn.BatchNorm2d(widths[level - 1], **NORMALIZATION),
            ]
            self.up.append(nn.Sequential(*layers, *([nn.Dropout(0.5)] if done < 3 else [])))
        last = nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1)
        self.last = nn.Sequential(nn.ReLU(inplace=True), last, nn.Tanh())

    def forward(self, x):
        """Translates a batch of images."""
        encoded = []
        for layer in self.down:
            x = layer(x)
            encoded.append(x)
        for layer, skipped in zip(self.up, encoded[-2::-1], strict=True):
            x = torch.cat([layer(x), skipped], 1)
        return self.last(x)


def patchgan(filters: int = 64) -> nn.Module:
    """Returns the discriminator of pix2pix, for two images concatenated along the channels."""
    layers = [nn.Conv2d(6, filters, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    width = filters
    for stride in (2, 2, 1):
        layers += [
            nn.Conv2d(width, 2 * width, 4, stride, 1, bias=False),
            nn.BatchNorm2d(2 * width, **NORMALIZATION),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width *= 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1))


def facenet_small(filters: tuple[int, ...] = (32, 64, 128, 256)) -> nn.Module:
    """Returns the small embedding network for colour images."""
    layers, before = [], 3
    for width in filters:
        layers += [
            nn.Conv2d(before, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, eps=1e-3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        ]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 128))


class CharacterLM(nn.Module):
    """Two LSTMs of 512 units over embedded characters.

    Args:
        characters: Number of different characters.
    """

    def __init__(self, characters: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, 512)
        self.recurrent = nn.LSTM(512, 512, 2, batch_first=True)
        self.scores = nn.Linear(512, characters)

    def forward(self, x, states):
        """Returns the logits of each next character, and the states after the last step."""
        x, states = self.recurrent(self.embedding(x), states)
        return self.scores(x), states
