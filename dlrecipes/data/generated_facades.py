"""Facades that are designed and then photographed: a map of their parts, and a picture.

A design is a list of rectangles, each of a class; the map shows them plainly. The photograph
paints the same rectangles with materials, shadows, light and the street's clutter, of which the
map says nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# The classes of the CMP facade database, in its order, and the colours of its label maps.
CLASSES = (
    "background",
    "facade",
    "window",
    "door",
    "cornice",
    "sill",
    "balcony",
    "blind",
    "deco",
    "molding",
    "pillar",
    "shop",
)
PALETTE = np.array(
    [
        [0, 0, 170],
        [0, 0, 255],
        [0, 85, 255],
        [0, 170, 255],
        [0, 255, 255],
        [85, 255, 170],
        [170, 255, 85],
        [255, 255, 0],
        [255, 170, 0],
        [255, 85, 0],
        [255, 0, 0],
        [170, 0, 0],
    ],
    "uint8",
)
# Photographs are painted so many times as large, and reduced: edges are smooth then.
FINER = 2


class Part(NamedTuple):
    """A rectangle of a design, its sides as shares of the picture's.

    Args:
        kind: Place in `CLASSES`.
        left: Its edges.
        top: As left.
        right: As left.
        bottom: As left.
        style: Which of a facade's ways to paint the class it has.
    """

    kind: int
    left: float
    top: float
    right: float
    bottom: float
    style: int = 0


def generated_facades(
    count: int, seed: int, size: int = 64, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns maps of facades and photographs of them, the same for the same seed.

    Args:
        count: How many, at least 1.
        seed: Decides everything, together with a facade's number.
        size: Height and width in pixels, at least 32.
        first: Number of the first facade: other numbers are other facades.

    Returns:
        Classes, uint8 of shape `(count, size, size)`, places in `CLASSES`; photographs, uint8
        of shape `(count, size, size, 3)`.

    Raises:
        ValueError: If an argument is out of its bounds.

    Example:

    >>> maps, photographs = generated_facades(2, seed=0, size=32)
    >>> maps.shape, photographs.shape, int(maps.max()) < len(CLASSES)
    ((2, 32, 32), (2, 32, 32, 3), True)

    Reference:
        Tylecek and Sara, 2013, "Spatial pattern templates for recognition of objects with
        regular structure" (the classes).
    """
    bounds = {"count": (count, 1), "size": (size, 32), "seed": (seed, 0), "first": (first, 0)}
    for name, (value, least) in bounds.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    maps, photographs = [], []
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        parts = _design(rng)
        maps.append(_map(parts, size))
        photographs.append(_photograph(parts, size, rng))
    return np.stack(maps), np.stack(photographs)


def coloured(maps: np.ndarray) -> np.ndarray:
    """Returns maps of classes as pictures in the colours of the CMP database, uint8.

    Args:
        maps: Places in `CLASSES`, of any shape `(...)`; returns `(..., 3)`.
    """
    return PALETTE[maps]


def classes_of(pictures: np.ndarray) -> np.ndarray:
    """Returns the class of each pixel's nearest colour: label maps that were compressed, too.

    Args:
        pictures: uint8 of shape `(..., 3)`; returns `(...)`.
    """
    gaps = pictures[..., None, :].astype("int32") - PALETTE.astype("int32")
    return (gaps**2).sum(axis=-1).argmin(axis=-1).astype("uint8")


def _design(rng: np.random.Generator) -> list[Part]:
    """Returns the parts of a facade, those in front last."""
    kind = {name: number for number, name in enumerate(CLASSES)}
    top = rng.uniform(0.02, 0.22)
    left, right = (rng.uniform(0, 0.10) if rng.random() < 0.5 else 0.0 for _ in "lr")
    right = 1 - right
    parts = [Part(kind["facade"], left, top, right, 1.0)]
    floors, columns = int(rng.integers(2, 6)), int(rng.integers(2, 7))
    ground = rng.uniform(0.9, 1.4)
    height = (1 - top - 0.06) / (floors - 1 + ground)
    lines = [top + 0.06 + height * floor for floor in range(floors)] + [1.0]
    parts.append(Part(kind["cornice"], left, top, right, top + rng.uniform(0.03, 0.06)))
    if rng.random() < 0.5:
        width = rng.uniform(0.02, 0.045)
        for edge in (left, right - width):
            parts.append(Part(kind["pillar"], edge, top + 0.06, edge + width, 1.0))
    if rng.random() < 0.7:
        for line in lines[1:-1]:
            parts.append(Part(kind["molding"], left, line - 0.012, right, line + 0.008))
    pitch = (right - left) / columns
    wide, tall = rng.uniform(0.38, 0.66) * pitch, rng.uniform(0.5, 0.72) * height
    shares = {"sill": 0.6, "blind": 0.4, "deco": 0.4, "balcony": 0.5, "shop": 0.5}
    has = {name: rng.random() < share for name, share in shares.items()}
    balconies = {floor for floor in range(floors - 1) if rng.random() < 0.5}
    for floor in range(floors - 1):
        for column in range(columns):
            middle = left + (column + 0.5) * pitch
            low = lines[floor] + 0.5 * (height + tall)
            window = Part(
                kind["window"], middle - wide / 2, low - tall, middle + wide / 2, low,
                int(rng.integers(3)),
            )  # fmt: skip
            parts += _window(window, kind, has, floor in balconies, rng)
    return parts + _ground_floor(kind, has["shop"], left, right, lines[-2], pitch, wide, rng)


def _window(window: Part, kind, has, balcony: bool, rng) -> list[Part]:
    parts, wide, tall = [window], window.right - window.left, window.bottom - window.top
    if has["deco"]:
        over = 0.08 * tall
        parts.append(
            Part(kind["deco"], window.left - 0.1 * wide, window.top - 2 * over,
                 window.right + 0.1 * wide, window.top - over / 2)
        )  # fmt: skip
    if has["blind"]:
        if rng.random() < 0.5:
            for edge in (window.left - 0.24 * wide, window.right):
                blind = Part(kind["blind"], edge, window.top, edge + 0.24 * wide, window.bottom)
                parts.append(blind)
        elif rng.random() < 0.6:
            drawn = rng.uniform(0.2, 0.9) * tall
            parts.append(window._replace(kind=kind["blind"], bottom=window.top + drawn, style=1))
    if has["balcony"] and balcony:
        parts.append(
            Part(kind["balcony"], window.left - 0.18 * wide, window.bottom - 0.34 * tall,
                 window.right + 0.18 * wide, window.bottom + 0.06 * tall)
        )  # fmt: skip
    elif has["sill"]:
        parts.append(
            Part(kind["sill"], window.left - 0.08 * wide, window.bottom,
                 window.right + 0.08 * wide, window.bottom + 0.09 * tall)
        )  # fmt: skip
    return parts


def _ground_floor(kind, shops: bool, left, right, line, pitch, wide, rng) -> list[Part]:
    """Returns a door, and shops or windows beside it."""
    columns = round((right - left) / pitch)
    entrance, parts = int(rng.integers(columns)), []
    for column in range(columns):
        middle = left + (column + 0.5) * pitch
        if column == entrance:
            half = 0.5 * min(0.62 * pitch, 0.14)
            parts.append(
                Part(kind["door"], middle - half, line + 0.25 * (1 - line), middle + half, 1)
            )
        elif shops:
            parts.append(
                Part(kind["shop"], middle - 0.45 * pitch, line + 0.12 * (1 - line),
                     middle + 0.45 * pitch, 0.97)
            )  # fmt: skip
        else:
            parts.append(
                Part(kind["window"], middle - wide / 2, line + 0.24 * (1 - line),
                     middle + wide / 2, line + 0.72 * (1 - line), int(rng.integers(3)))
            )  # fmt: skip
    return parts


def _box(part: Part, size: int) -> tuple[slice, slice]:
    edges = [round(np.clip(edge, 0, 1) * size) for edge in part[1:5]]
    left, top, right, bottom = edges
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _map(parts: list[Part], size: int) -> np.ndarray:
    found = np.zeros((size, size), "uint8")
    for part in parts:
        found[_box(part, size)] = part.kind
    return found


def _photograph(parts: list[Part], size: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a photograph of a design, uint8."""
    large = size * FINER
    photograph = _sky(large, rng)
    look = _Look(large, rng)
    for part in parts:
        rows, columns = _box(part, large)
        view = photograph[rows, columns]
        if view.size:
            getattr(look, CLASSES[part.kind])(view, part, photograph, rows, columns)
    _clutter(photograph, rng)
    _light(photograph, rng)
    small = photograph.reshape(size, FINER, size, FINER, 3).mean(axis=(1, 3))
    small += rng.normal(0, 0.012, small.shape)
    return (np.clip(small, 0, 1) * 255).round().astype("uint8")


class _Look:
    """How one facade's materials look: a method a class paints a rectangle of it."""

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
    """Returns smooth noise: of three scales."""
    found = np.zeros(shape)
    for cells in (3, 9, 27):
        few = rng.normal(0, 1, (cells + 1, cells + 1))
        rows, columns = (np.linspace(0, cells - 1e-6, n) for n in shape)
        r, c = rows.astype(int), columns.astype(int)
        y, x = (rows - r)[:, None], (columns - c)[None]
        upper = few[np.ix_(r, c)] * (1 - x) + few[np.ix_(r, c + 1)] * x
        lower = few[np.ix_(r + 1, c)] * (1 - x) + few[np.ix_(r + 1, c + 1)] * x
        found += upper * (1 - y) + lower * y
    return strength * found / np.sqrt(3)


def _sky(size: int, rng) -> np.ndarray:
    down = np.linspace(0, 1, size)[:, None, None]
    blue = np.array([0.45, 0.62, 0.85]) * rng.uniform(0.8, 1.1)
    clouds = np.clip(_blotches((size, size), 0.35, rng), 0, 0.5)[..., None] * rng.uniform(0, 1)
    sky = blue + (0.9 - blue) * np.clip(1.5 * down, 0, 1) * rng.uniform(0.4, 1)
    # What stands beside the house goes down to the street.
    beside = rng.uniform(0.3, 0.7) * np.array([1.0, 0.95, 0.88])
    return np.where(down < rng.uniform(0.12, 0.4), sky + clouds * (1 - sky), beside)


def _clutter(photograph: np.ndarray, rng) -> None:
    """Paints what stands before the house: a tree, a lamp, a car, wires."""
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
    """Changes the light: the sun's side, a shadow from across the street, the exposure."""
    size = len(photograph)
    y, x = (np.mgrid[0:size, 0:size] / size)[..., None]
    photograph *= 1 + rng.normal(0, 0.10) * (x - 0.5) * 2
    if rng.random() < 0.35:
        edge = rng.uniform(0.5, 0.95) + rng.normal(0, 0.15) * (x - 0.5)
        photograph *= np.where(y > edge, 0.68, 1.0)
    photograph *= rng.uniform(0.85, 1.12) * (1 + rng.normal(0, 0.02, 3))
