"""Photographs of drawn animals: framing, light, and what a phone's camera does."""

from __future__ import annotations

import math

import numpy as np

from dlrecipes.data.generated.cats_dogs import breeds, coats, heads, scenes
from dlrecipes.data.generated.cats_dogs import shapes as s
from dlrecipes.data.generated.cats_dogs.bodies import POSES
from dlrecipes.data.generated.cats_dogs.rendering import FAR, View, render
from dlrecipes.data.generated.cats_dogs.shapes import Frame, Shapes, rotation
from dlrecipes.data.generated.chance import Chance

FINER = 2


def photograph(species: str, size: int, chance: Chance) -> np.ndarray:
    """Returns one image, uint8 of shape `(size, size, 3)`.

    Args:
        species: `"cat"` or `"dog"`.
        size: Height and width in pixels.
        chance: Random numbers of the image.
    """
    shapes, head, head_size, hair = animal(species, chance)
    side = size * FINER
    scale, offset = framing(shapes, head, head_size, chance)
    fur = chance.tile("fur", side, side, side / 128)
    view = render(shapes, scale * side, (offset[0] * side, offset[1] * side), fur,
                  (0.3 + 0.9 * hair) * side / 128)  # fmt: skip
    middle = (offset[0] + scale * head[0], offset[1] - scale * head[1])
    colour, cover = lit(view, coats.coat(species, chance), fur, shapes, chance)
    feet = min(1.05, offset[1] + 0.02)
    scene = scenes.background(size, feet - chance.between(0.02, 0.35), chance)
    ground_shadow(scene, view, feet)
    scene.image = scene.image * (1 - cover[..., None]) + colour
    scenes.foreground(scene, middle, chance)
    return developed(scene.image, chance)


def animal(species: str, chance: Chance):
    """Returns an animal's shapes, where its head is, the size of its head, and its hair."""
    head, body, head_size, hair = (breeds.cat if species == "cat" else breeds.dog)(chance)
    pose = chance.weighted({"standing": 1.0, "sitting": 1.3, "lying": 0.8})
    mirror = 1.0 if chance.happens(0.5) else -1.0
    yaw = mirror * chance.between(0.0, 1.75)
    tilt = chance.between(0.0, 0.3)
    look = np.array([[1.0, 0.0, 0.0], [0.0, math.cos(tilt), -math.sin(tilt)],
                     [0.0, math.sin(tilt), math.cos(tilt)]])  # fmt: skip
    shapes = Shapes()
    trunk = Frame(look @ rotation(yaw), np.zeros(3))
    shapes.within(trunk)
    neck = POSES[pose](shapes, body, chance)
    turned = mirror * min(0.85, max(-0.5, mirror * yaw * 0.38 + chance.about(0.0, 0.25)))
    nod = 0.7 * tilt + chance.about(0.05, 0.1)
    axes = look @ rotation(turned, nod, chance.about(0.0, 0.12))
    place = trunk.point((neck[0] + 0.35 * head_size, 0.0, neck[2] + 0.45 * head_size))
    shapes.within(Frame(axes, place, head_size))
    (heads.cat_head if species == "cat" else heads.dog_head)(shapes, head, chance)
    return shapes, place, head_size, hair


def framing(shapes: Shapes, head, head_size: float, chance: Chance):
    """Returns the scale, and the column and row of the origin, as fractions of the image.

    The head is always inside; in some photographs the rest of the animal is cut off.
    """
    trunk = shapes.frames[0][0]
    centres = np.array(shapes.centres[: shapes.frames[1][1]]) @ trunk.axes.T + trunk.origin
    points = np.vstack([centres[:, :2], [head[:2] - head_size, head[:2] + head_size * 1.5]])
    low, high = points.min(axis=0) - 0.05, points.max(axis=0) + 0.05
    whole = chance.between(0.8, 1.1) / max(*(high - low), 0.6)
    close = chance.between(0.2, 0.31) / head_size
    scale = max(whole, 0.175 / head_size)
    if chance.happens(0.4):
        scale = max(scale, close)
    centre = (low + high) / 2
    x = 0.5 - scale * centre[0] + chance.about(0.0, 0.06)
    y = 0.5 + scale * centre[1] + chance.about(0.0, 0.05)
    # Keep the head inside.
    room = scale * head_size * 1.25
    hx, hy = x + scale * head[0], y - scale * head[1]
    x += min(max(hx, min(room, 0.5)), max(1 - room, 0.5)) - hx
    y += min(max(hy, min(1.25 * room, 0.5)), max(1 - room, 0.5)) - hy
    return scale, (x, y)


def lit(view: View, coat: coats.Coat, fur: np.ndarray, shapes: Shapes, chance: Chance):
    """Returns the animal's colours, times its cover, and its cover, at the image's size."""
    side = len(view.depth)
    seen = np.flatnonzero(view.depth.ravel() > FAR)
    tint = coats.colours(view, seen, coat, chance)
    light = _light(view, seen, chance)
    surface = view.surfaces[view.number.ravel()[seen]]
    hairy = (surface < s.INNER_EAR).astype("float32")
    light = light * (1 + 0.045 * hairy * fur.ravel()[seen])
    warm = chance.about(0.0, 0.07)
    tint = tint * light[:, None] * np.array([1 + warm, 1.0, 1 - warm], "float32")
    image = np.zeros((side * side, 4), "float32")
    image[seen, :3], image[seen, 3] = tint, 1
    _lines(image, view, shapes)
    fine = image.reshape(side, side, 4)
    small = fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
    small *= 0.25
    return small[..., :3], small[..., 3]


def _light(view: View, seen: np.ndarray, chance: Chance) -> np.ndarray:
    """Returns the brightness of the seen pixels: ambient light and a lamp or the sun."""
    depth = view.depth
    right = np.zeros_like(depth)
    down = np.zeros_like(depth)
    right[:, 1:-1] = depth[:, 2:] - depth[:, :-2]
    down[1:-1] = depth[2:] - depth[:-2]
    zx = np.clip(right.ravel()[seen] * 0.5, -2.5, 2.5)
    zy = np.clip(down.ravel()[seen] * 0.5, -2.5, 2.5)
    angle = chance.between(-2.6, -0.5)
    low = chance.between(0.45, 1.1)
    lx, ly, lz = math.cos(angle) * math.cos(low), math.sin(angle) * math.cos(low), math.sin(low)
    shade = (lz - lx * zx - ly * zy) / np.sqrt(1 + zx * zx + zy * zy)
    ambient = chance.between(0.5, 0.75)
    shadow = _shadow(depth, lx, ly).ravel()[seen]
    return (ambient + (1.12 - ambient) * np.clip(shade, -0.15, 1)) * (1 - shadow)


def _shadow(depth: np.ndarray, lx: float, ly: float) -> np.ndarray:
    """Returns how much light nearer parts take away, such as the head from the chest."""
    side = len(depth)
    shadow = np.zeros_like(depth)
    for step in (0.03, 0.06):
        right, down = round(-lx * step * side * 1.5), round(-ly * step * side * 1.5)
        # The part that lies between the pixel and the light.
        to = (slice(max(down, 0), side + min(down, 0)), slice(max(right, 0), side + min(right, 0)))
        off = (slice(max(-down, 0), side + min(-down, 0)),
               slice(max(-right, 0), side + min(-right, 0)))  # fmt: skip
        height = (depth[off] - depth[to]) * (1 / (0.08 * side)) - 0.3
        shadow[to] += 0.2 * np.clip(height, 0, 1)
    return shadow


def _lines(image: np.ndarray, view: View, shapes: Shapes) -> None:
    """Draws whiskers, mouth and the glint of the eyes."""
    side = len(view.depth)
    lengths = [len(places) for _, places, _ in shapes.lines]
    inks = np.array([(*colour, 1.0) for colour, _, _ in shapes.lines], "float32")
    opacity = np.repeat([opacity for *_, opacity in shapes.lines], lengths).astype("float32")
    places = view.to_pixels(np.concatenate([places for _, places, _ in shapes.lines]))
    columns, rows = np.rint(places[:, :2]).astype(int).T
    shown = np.flatnonzero((np.minimum(columns, rows) >= 0) & (np.maximum(columns, rows) < side))
    pixels = rows[shown] * side + columns[shown]
    front = places[shown, 2] > view.depth.ravel()[pixels] - 0.03 * view.scale
    shown, pixels = shown[front], pixels[front]
    ink = np.repeat(inks, lengths, axis=0)[shown]
    image[pixels] += opacity[shown, None] * (ink - image[pixels])


def ground_shadow(scene: scenes.Scene, view: View, feet: float) -> None:
    """Darkens the floor under the animal."""
    columns = np.flatnonzero((view.depth > FAR).any(axis=0)) / len(view.depth)
    if len(columns) and feet < 1.1:
        x, wide = (columns[0] + columns[-1]) / 2, max(0.08, (columns[-1] - columns[0]) / 2)
        away = ((scene.x - x) / (1.05 * wide)) ** 2 + ((scene.y - feet) / (0.3 * wide)) ** 2
        scene.image *= (1 - 0.5 * np.clip(1.1 - away, 0, 1))[..., None]


def developed(image: np.ndarray, chance: Chance) -> np.ndarray:
    """Returns uint8 images with a phone's light, blur and noise."""
    size = len(image)
    exposure, contrast = chance.about(1.02, 0.09), chance.about(1.0, 0.09)
    balance = chance.about(0.0, 0.05)
    image = image * (exposure * np.array([1 + balance, 1.0, 1 - balance], "float32"))
    if chance.happens(0.12):
        x = np.linspace(-1, 1, size, dtype="float32")
        edge = x[None] * chance.between(-1, 1) + x[:, None] * chance.between(-1, 1)
        image *= (1 - chance.between(0.15, 0.4) * (edge > chance.between(-0.5, 0.5)))[..., None]
    soft = chance.between(0.0, 0.18)
    image[1:-1] = (1 - 2 * soft) * image[1:-1] + soft * (image[2:] + image[:-2])
    image[:, 1:-1] = (1 - 2 * soft) * image[:, 1:-1] + soft * (image[:, 2:] + image[:, :-2])
    image = (image - 0.45) * contrast + 0.45
    grain = chance.between(0.005, 0.018)
    for channel in range(3):
        image[..., channel] += grain * chance.tile("white", size, size, size / 64)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype("uint8")
