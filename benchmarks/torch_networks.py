"""PyTorch versions of the networks of `dlrecipes.models` that the benchmarks time."""

from collections import OrderedDict

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


class Tagger(nn.Module):
    """The network of slot_filling with its default settings.

    Args:
        words: Number of words.
        ngrams: Number of letter n-grams.
        tags: Number of tags.
        intents: Number of intents.
        packed: Whether sequences are packed, so that their padding is not computed.
    """

    def __init__(self, words: int, ngrams: int, tags: int, intents: int, packed: bool):
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(words, 100)
        self.hashing = nn.EmbeddingBag(ngrams, 100, mode="sum", padding_idx=0)
        self.recurrent = nn.LSTM(600, 128, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.tags, self.intents = nn.Linear(256, tags), nn.Linear(256, intents)
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start, self.end = (nn.Parameter(torch.zeros(tags)) for _ in range(2))

    def forward(self, words, ngrams):
        """Returns the scores of tags and intents, and where words are."""
        mask = words != 0
        chance = torch.rand(words.shape)
        words = torch.where((chance < 0.1) & mask, 1, words)
        unknown = torch.zeros_like(ngrams)
        unknown[:, :, 0] = 1
        ngrams = torch.where(((chance < 0.05) & mask)[:, :, None], unknown, ngrams)
        counted = self.hashing(ngrams.flatten(0, 1)).unflatten(0, words.shape)
        x = self.dropout(torch.cat([self.embedding(words), counted], 2))
        # Each word with its neighbours; padding is zeros.
        around = nn.functional.pad(x * mask[:, :, None], (0, 0, 1, 1))
        x = torch.cat([around[:, :-2], x, around[:, 2:]], 2)
        if self.packed:
            x = nn.utils.rnn.pack_padded_sequence(
                x, mask.sum(1), batch_first=True, enforce_sorted=False
            )
            x = nn.utils.rnn.pad_packed_sequence(self.recurrent(x)[0], batch_first=True)[0]
        else:
            x = self.recurrent(x)[0]
        x = self.dropout(x)
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return self.tags(x), self.intents(mean), mask

    def log_likelihood(self, scores, tags, mask):
        """Returns the log-probability of each sentence's tags, as pytorch-crf computes it."""
        scores, tags, mask = scores.transpose(0, 1), tags.T, mask.T
        rows = torch.arange(tags.shape[1])
        path = self.start[tags[0]] + scores[0, rows, tags[0]]
        message = self.start + scores[0]
        for step in range(1, len(tags)):
            moved = self.transitions[tags[step - 1], tags[step]] + scores[step, rows, tags[step]]
            path = path + moved * mask[step]
            joint = message[:, :, None] + self.transitions + scores[step][:, None]
            message = torch.where(mask[step][:, None], torch.logsumexp(joint, 1), message)
        last = tags[mask.sum(0) - 1, rows]
        return path + self.end[last] - torch.logsumexp(message + self.end, 1)


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


def distorted(images, alpha: float = 20.0, sigma: float = 5.0):
    """Returns images with the random distortions of digit_recognition's default settings."""
    count, _, side, _ = images.shape
    offsets = torch.arange(side)[:, None] - torch.arange(side)
    blur = torch.exp(-0.5 * (offsets / sigma) ** 2) * (offsets.abs() <= 3 * sigma)
    blur = blur / torch.exp(-0.5 * (torch.arange(-15, 16) / sigma) ** 2).sum()
    field = blur @ (alpha * (2 * torch.rand(count, 2, side, side) - 1)) @ blur

    def uniform(largest: float):
        return largest * (2 * torch.rand(count, 1, 1) - 1)

    angle, slant = uniform(7 * torch.pi / 180), uniform(0.07)
    tall, wide = (torch.exp(uniform(torch.log1p(torch.tensor(0.07)))) for _ in range(2))
    y = (torch.arange(side) - (side - 1) / 2)[None, :, None]
    x = (torch.arange(side) - (side - 1) / 2)[None, None, :]
    slanted = x + slant * y
    down = tall * (torch.cos(angle) * y + torch.sin(angle) * slanted) + uniform(1.0) + field[:, 0]
    right = wide * (torch.cos(angle) * slanted - torch.sin(angle) * y) + uniform(1.0) + field[:, 1]
    grid = torch.stack([right, down], 3) * (2 / (side - 1))
    return nn.functional.grid_sample(images, grid, align_corners=True)
