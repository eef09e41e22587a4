"""Rendering of a facade's design: materials, shadows, light and objects in the street."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.facade_layout import CLASSES, Part, box

# Photographs are painted this many times as large and downscaled, so that edges are smooth.
FINER = 2


def photograph(parts: list[Part], size: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a photograph of a design, uint8 of shape `(size, size, 3)`."""
    large = size * FINER
    image = _sky(large, rng)
    look = _Look(large, rng)
    for part in parts:
        rows, columns = box(part, large)
        view = image[rows, columns]
        if view.size:
            getattr(look, CLASSES[part.kind])(view, part, image, rows, columns)
    _clutter(image, rng)
    _light(image, rng)
    small = image.reshape(size, FINER, size, FINER, 3).mean(axis=(1, 3))
    small += rng.normal(0, 0.012, small.shape)
    return (np.clip(small, 0, 1) * 255).round().astype("uint8")


class _Look:
    """Materials of one facade, with one method per class that paints a rectangle."""

    def __init__(self, size: int, rng: np.random.Generator):
        self.rng, self.size = rng, size
        warm = np.array([[0.80, 0.68, 0.52], [0.62, 0.36, 0.28], [0.82, 0.80, 0.76],
                         [0.72, 0.70, 0.58], [0.86, 0.74, 0.42], [0.55, 0.56, 0.58]])  # fmt: skip
        self.wall = np.clip(warm[rng.integers(len(warm))] + rng.normal(0, 0.04, 3), 0.2, 0.95)
        self.trim = np.clip(self.wall * rng.uniform(1.05, 1.35) + 0.05, 0, 0.97)
        self.wood = np.array([0.35, 0.22, 0.14]) + rng.uniform(-0.08, 0.12, 3)
        self.shutter = rng.uniform(0.15, 0.6, 3) * np.array([0.7, 1.0, 0.8])
        self.frame = np.full(3, rng.choice([0.92, 0.85, 0.25]))
        self.bricks = rng.random() < 0.4
        self.awning = rng.uniform(0.15, 0.75, 3)

    def facade(self, view, part, whole, rows, columns):
        view[:] = self.wall + _blotches(view.shape[:2], 0.035, self.rng)[..., None]
        if self.bricks:
            high = max(3, self.size // 40)
            courses = np.arange(view.shape[0]) // high
            view[np.arange(view.shape[0]) % high == 0] *= 0.86
            joints = (np.arange(view.shape[1])[None] + (courses % 2)[:, None] * high) % (2 * high)
            view[(joints == 0)] *= 0.9
        view[-max(2, view.shape[0] // 14) :] *= 0.82

    def cornice(self, view, part, whole, rows, columns):
        view[:] = self.trim * np.linspace(1.08, 0.86, view.shape[0])[:, None, None]
        _shadow(whole, rows.stop, columns, self.size // 40)

    def molding(self, view, part, whole, rows, columns):
        view[:] = self.trim * np.linspace(1.0, 0.8, view.shape[0])[:, None, None]
        _shadow(whole, rows.stop, columns, self.size // 90 + 1)

    def pillar(self, view, part, whole, rows, columns):
        view[:] = self.trim * np.linspace(1.05, 0.78, view.shape[1])[None, :, None]

    def deco(self, view, part, whole, rows, columns):
        view[:] = self.trim * np.linspace(1.05, 0.9, view.shape[0])[:, None, None]
        view[:, :: max(2, view.shape[1] // 5)] *= 0.86

    def sill(self, view, part, whole, rows, columns):
        view[:] = self.trim * 1.02
        _shadow(whole, rows.stop, columns, self.size // 70 + 1)

    def window(self, view, part, whole, rows, columns):
        down = np.linspace(0, 1, view.shape[0])[:, None, None]
        glass = np.array([0.20, 0.26, 0.33]) * self.rng.uniform(0.5, 1.5)
        view[:] = glass + 0.22 * (1 - down) * self.rng.uniform(0.2, 1.3)
        if part.style == 1:
            side = max(1, view.shape[1] // 4)
            for curtain in (view[:, :side], view[:, -side:]):
                curtain[:] = 0.78 * curtain[:1] + 0.30
        _frame(view, self.frame, self.size)
        bar = max(1, self.size // 110)
        half = view.shape[1] // 2
        view[:, half - bar // 2 : half - bar // 2 + bar] = self.frame
        if part.style != 2:
            third = view.shape[0] // 3
            view[third : third + bar] = self.frame
        view[: max(1, view.shape[0] // 14)] *= 0.6

    def blind(self, view, part, whole, rows, columns):
        colour = self.frame * 0.85 if part.style else self.shutter
        view[:] = colour
        view[:: max(2, self.size // 56)] *= 0.72

    def balcony(self, view, part, whole, rows, columns):
        view *= 0.8
        step = max(2, self.size // 50)
        view[:, ::step] = 0.12
        view[: max(1, view.shape[0] // 9)] = 0.14
        slab = max(1, view.shape[0] // 6)
        view[-slab:] = self.trim * 0.85
        _shadow(whole, rows.stop, columns, self.size // 40)

    def door(self, view, part, whole, rows, columns):
        view[:] = self.wood + _blotches(view.shape[:2], 0.02, self.rng)[..., None]
        _frame(view, self.wood * 0.55, self.size)
        view[:, view.shape[1] // 2] *= 0.5
        light = view[: max(1, view.shape[0] // 5)]
        light[:] = np.array([0.25, 0.3, 0.35])
        _frame(light, self.frame * 0.8, self.size)

    def shop(self, view, part, whole, rows, columns):
        inside = self.rng.uniform(0.15, 0.45)
        view[:] = np.array([1.0, 0.92, 0.78]) * inside
        goods = self.rng.uniform(0.1, 0.9, (1 + view.shape[0] // 8, 1 + view.shape[1] // 6, 3))
        shelf = np.kron(goods, np.ones((8, 6, 1)))[: view.shape[0], : view.shape[1]]
        view[:] = 0.7 * view + 0.3 * shelf
        _frame(view, self.frame * 0.6, self.size)
        roof = view[: max(2, view.shape[0] // 4)]
        roof[:] = self.awning * np.linspace(1.1, 0.8, len(roof))[:, None, None]
        stripe = max(2, self.size // 40)
        roof[:, (np.arange(roof.shape[1]) // stripe) % 2 == 0] = 0.85 * self.awning + 0.14


def _frame(view: np.ndarray, colour: np.ndarray, size: int) -> None:
    wide = max(1, size // 80)
    view[:wide] = view[-wide:] = colour
    view[:, :wide] = view[:, -wide:] = colour


def _shadow(whole: np.ndarray, row: int, columns: slice, depth: int) -> None:
    depth = max(1, depth)
    below = whole[row : row + depth, columns]
    below *= np.linspace(0.55, 0.95, depth)[: len(below), None, None]


def _blotches(shape: tuple[int, int], strength: float, rng) -> np.ndarray:
    """Returns smooth noise of three scales."""
    noise = np.zeros(shape)
    for cells in (3, 9, 27):
        few = rng.normal(0, 1, (cells + 1, cells + 1))
        rows, columns = (np.linspace(0, cells - 1e-6, n) for n in shape)
        r, c = rows.astype(int), columns.astype(int)
        y, x = (rows - r)[:, None], (columns - c)[None]
        upper = few[np.ix_(r, c)] * (1 - x) + few[np.ix_(r, c + 1)] * x
        lower = few[np.ix_(r + 1, c)] * (1 - x) + few[np.ix_(r + 1, c + 1)] * x
        noise += upper * (1 - y) + lower * y
    return strength * noise / np.sqrt(3)


def _sky(size: int, rng) -> np.ndarray:
    down = np.linspace(0, 1, size)[:, None, None]
    blue = np.array([0.45, 0.62, 0.85]) * rng.uniform(0.8, 1.1)
    clouds = np.clip(_blotches((size, size), 0.35, rng), 0, 0.5)[..., None] * rng.uniform(0, 1)
    sky = blue + (0.9 - blue) * np.clip(1.5 * down, 0, 1) * rng.uniform(0.4, 1)
    # The neighbouring houses reach down to the street.
    neighbours = rng.uniform(0.3, 0.7) * np.array([1.0, 0.95, 0.88])
    return np.where(down < rng.uniform(0.12, 0.4), sky + clouds * (1 - sky), neighbours)


def _clutter(photograph: np.ndarray, rng) -> None:
    """Paints objects in front of the house: a tree, a lamp post, a car, a wire."""
    size = len(photograph)
    y, x = np.mgrid[0:size, 0:size] / size
    if rng.random() < 0.3:
        middle, low, radius = rng.uniform(0, 1), rng.uniform(0.55, 0.85), rng.uniform(0.08, 0.17)
        leaves = np.hypot(x - middle, (y - low) * 0.9) + _blotches((size, size), 0.035, rng)
        green = np.array([0.18, 0.32, 0.12]) * rng.uniform(0.7, 1.4)
        photograph[(np.abs(x - middle) < 0.012) & (y > low)] = np.array([0.25, 0.18, 0.12])
        shade = 0.8 + _blotches((size, size), 0.25, rng)
        photograph[leaves < radius] = (green * shade[..., None])[leaves < radius]
    if rng.random() < 0.3:
        pole = np.abs(x - rng.uniform(0.05, 0.95)) < 0.006
        photograph[pole & (y > rng.uniform(0.2, 0.5))] = 0.22
    if rng.random() < 0.35:
        middle, paint = rng.uniform(0, 1), rng.uniform(0.1, 0.8, 3)
        body = (np.abs(x - middle) < 0.16) & (y > 0.93)
        cabin = (np.abs(x - middle) < 0.09) & (y > 0.885) & (y <= 0.93)
        photograph[body], photograph[cabin] = paint, 0.25 * paint + 0.12
    if rng.random() < 0.2:
        row = rng.uniform(0.1, 0.5)
        wire = np.abs(y - row - 0.06 * (x - 0.5) ** 2) < 0.5 / size
        photograph[wire] *= 0.4


def _light(photograph: np.ndarray, rng) -> None:
    """Changes the light: direction of the sun, shadow from across the street, exposure."""
    size = len(photograph)
    y, x = (np.mgrid[0:size, 0:size] / size)[..., None]
    photograph *= 1 + rng.normal(0, 0.10) * (x - 0.5) * 2
    if rng.random() < 0.35:
        edge = rng.uniform(0.5, 0.95) + rng.normal(0, 0.15) * (x - 0.5)
        photograph *= np.where(y > edge, 0.68, 1.0)
    photograph *= rng.uniform(0.85, 1.12) * (1 + rng.normal(0, 0.02, 3))
