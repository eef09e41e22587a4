"""Scenes around an animal: rooms and gardens, and objects behind and in front of it."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.chance import Chance

Cover = np.ndarray
# Yellow, amber, green and pink, as eyes and tongues are: no colour gives the animal away.
_TOYS = ((0.82, 0.72, 0.18), (0.72, 0.74, 0.22), (0.80, 0.50, 0.14), (0.90, 0.45, 0.46))
# Grass of three kinds, sand, stone and snow.
_GROUNDS = (
    (0.36, 0.52, 0.18),
    (0.42, 0.50, 0.22),
    (0.28, 0.42, 0.16),
    (0.78, 0.70, 0.52),
    (0.55, 0.54, 0.52),
    (0.90, 0.92, 0.95),
)


class Scene:
    """A painted image, float32 of shape `(side, side, 3)`, with places from 0 to 1."""

    def __init__(self, side: int):
        self.side, self.sharp = side, side / 1.4
        steps = (np.arange(side, dtype="float32") + 0.5) / side
        self.x, self.y = steps[None], steps[:, None]
        self.image = np.empty((side, side, 3), "float32")

    def paint(self, cover: Cover, colour) -> None:
        """Blends a colour over the image; `cover` broadcasts to `(side, side)`."""
        self.image += cover[..., None] * (np.asarray(colour, "float32") - self.image)

    def texture(self, chance: Chance, kind: str, strength: float, cover: Cover | float = 1.0):
        """Varies the brightness with noise."""
        noise = chance.tile(kind, self.side, self.side, self.side / 64)
        self.image *= 1 + (strength * noise * cover)[..., None]

    def disc(self, x: float, y: float, rx: float, ry: float) -> Cover:
        """Returns the cover of an ellipse."""
        away = ((self.x - x) / rx) ** 2 + ((self.y - y) / ry) ** 2
        return np.clip((1 - away) * (0.5 * self.sharp * min(rx, ry)) + 0.5, 0, 1)

    def band(self, x0: float, x1: float, y0: float, y1: float) -> Cover:
        """Returns the cover of a rectangle."""
        across = np.clip((self.x - x0) * self.sharp + 0.5, 0, 1)
        across = across * np.clip((x1 - self.x) * self.sharp + 0.5, 0, 1)
        down = np.clip((self.y - y0) * self.sharp + 0.5, 0, 1)
        return across * (down * np.clip((y1 - self.y) * self.sharp + 0.5, 0, 1))


def colour(chance: Chance, low: float = 0.2, high: float = 0.85, vivid: float = 0.2) -> np.ndarray:
    """Returns a random colour around a grey."""
    grey = chance.between(low, high)
    return np.clip([grey + chance.about(0.0, vivid / 2) for _ in range(3)], 0.04, 0.97)


def background(side: int, floor: float, chance: Chance) -> Scene:
    """Returns a scene without the animal.

    Args:
        side: Height and width in pixels.
        floor: Row where the floor begins, as a fraction of the height.
        chance: Random numbers of the image.
    """
    scene = Scene(side)
    kind = chance.weighted({_room: 3.0, _garden: 2.0, _sofa: 1.6, _studio: 1.0})
    kind(scene, floor, chance)
    for _ in range(int(chance.between(0, 2.4))):
        _object(scene, chance.between(0.0, 1.0), floor + chance.between(-0.03, 0.15),
                chance.between(0.06, 0.16), chance)  # fmt: skip
    return scene


def _room(scene: Scene, floor: float, chance: Chance) -> None:
    wall = colour(chance, 0.3, 0.9, 0.2)
    scene.image[:] = wall
    style = chance.weighted({"plain": 2.0, "stripes": 1.0, "bricks": 1.0})
    pitch = chance.between(0.06, 0.16)
    if style == "stripes":
        scene.image *= (1 - 0.12 * (np.sin(scene.x * (6.28 / pitch)) > 0))[..., None]
    elif style == "bricks":
        course = np.floor(scene.y / (0.5 * pitch))
        joint = ((scene.x + 0.5 * pitch * (course % 2)) % pitch < 0.015) | (
            scene.y % (0.5 * pitch) < 0.013)  # fmt: skip
        scene.image *= (1 - 0.2 * joint)[..., None]
    if chance.happens(0.55):
        x, w = chance.between(-0.1, 0.8), chance.between(0.2, 0.4)
        y, h = chance.between(-0.15, 0.15), chance.between(0.2, 0.4)
        frame = colour(chance, 0.15, 0.9)
        inside = np.array([0.75, 0.87, 0.97]) if chance.happens(0.5) else colour(chance, vivid=0.5)
        scene.paint(scene.band(x, x + w, y, y + h), frame)
        scene.paint(scene.band(x + 0.025, x + w - 0.025, y + 0.025, y + h - 0.025), inside)
        if chance.happens(0.5):
            scene.paint(scene.band(x + w / 2 - 0.012, x + w / 2 + 0.012, y, y + h), frame)
    scene.texture(chance, "clouds", 0.04)
    _floor(scene, floor, chance)
    if chance.happens(0.6):
        scene.paint(scene.band(-1, 2, floor - 0.03, floor), np.clip(wall * 1.25, 0, 0.97))


def _floor(scene: Scene, floor: float, chance: Chance) -> None:
    style = chance.weighted({"planks": 2.0, "tiles": 1.0, "carpet": 2.0})
    tone = colour(chance, 0.25, 0.8, 0.15)
    if style == "planks":
        tone = chance.between(0.35, 1.0) * np.array([0.78, 0.56, 0.36])
    cover = np.clip((scene.y - floor) * scene.sharp, 0, 1) + 0 * scene.x
    scene.paint(cover, tone)
    down = np.maximum(scene.y - floor + 0.12, 0.05)
    if style == "planks":
        scene.texture(chance, "grain", 0.10, cover)
        lines = ((scene.x - 0.5) / down * 0.5) % 0.4 < 0.035
        scene.image *= (1 - 0.25 * cover * lines)[..., None]
    elif style == "tiles":
        lines = (((scene.x - 0.5) / down * 0.5) % 0.6 < 0.05) | ((0.3 / down) % 0.4 < 0.05)
        scene.image *= (1 - 0.2 * cover * lines)[..., None]
    else:
        scene.texture(chance, "fine", 0.10, cover)
        if chance.happens(0.5):
            rug = scene.disc(chance.between(0.2, 0.8), floor + 0.25, chance.between(0.3, 0.6), 0.18)
            scene.paint(rug * cover, colour(chance, vivid=0.5))


def _garden(scene: Scene, floor: float, chance: Chance) -> None:
    sky = np.array([0.45, 0.65, 0.92]) * chance.between(0.8, 1.08)
    haze = np.array([0.9, 0.92, 0.93])
    scene.image[:] = (
        sky + (haze - sky) * np.clip(scene.y * chance.between(0.8, 2.0), 0, 1)[..., None]
    )
    scene.texture(chance, "clouds", 0.05)
    if chance.happens(0.75):
        hedge = floor - chance.between(0.02, 0.35) + 0.05 * chance.tile(
            "spots", 1, scene.side, scene.side / 64)  # fmt: skip
        leaves = chance.between(0.6, 1.3) * np.array([0.20, 0.34, 0.14])
        scene.paint(np.clip((scene.y - hedge) * scene.sharp, 0, 1), leaves)
        scene.texture(chance, "spots", 0.16, (scene.y > hedge).astype("float32"))
    elif chance.happens(0.5):
        fence = colour(chance, 0.3, 0.9, 0.1)
        slats = (scene.x % 0.12 < 0.095) & (scene.y > floor - 0.3)
        scene.paint(slats.astype("float32"), fence)
    ground = chance.one_of(_GROUNDS)
    cover = np.clip((scene.y - floor) * scene.sharp, 0, 1) + 0 * scene.x
    scene.paint(cover, np.array(ground) * chance.between(0.8, 1.1))
    scene.texture(chance, "fur", 0.14, cover)
    scene.texture(chance, "clouds", 0.06, cover)


def _sofa(scene: Scene, floor: float, chance: Chance) -> None:
    scene.image[:] = colour(chance, 0.3, 0.85, 0.15)
    cloth = colour(chance, 0.2, 0.8, 0.3)
    back = floor - chance.between(0.25, 0.55)
    scene.paint(scene.band(-1, 2, back, 2), cloth * 0.88)
    seam = chance.between(0.2, 0.8)
    scene.paint(scene.band(seam - 0.008, seam + 0.008, back, floor), cloth * 0.6)
    scene.paint(scene.band(-1, 2, floor, 2), cloth)
    scene.paint(scene.band(-1, 2, floor - 0.012, floor + 0.012), cloth * 0.65)
    if chance.happens(0.5):
        x = chance.between(0.0, 1.0)
        pillow = colour(chance, vivid=0.4)
        cover = scene.disc(x, floor - 0.12, 0.2, 0.16)
        scene.paint(cover, pillow)
        if chance.happens(0.5):
            scene.image *= (1 - 0.2 * cover * (np.sin(40 * (scene.x + scene.y)) > 0))[..., None]
    scene.texture(chance, "fine", 0.05)
    scene.texture(chance, "clouds", 0.05)


def _studio(scene: Scene, floor: float, chance: Chance) -> None:
    first, second = colour(chance, vivid=0.3), colour(chance, vivid=0.3)
    mix = np.clip(
        scene.y + 0.25 * chance.tile("clouds", scene.side, scene.side, scene.side / 64), 0, 1
    )
    scene.image[:] = first + (second - first) * mix[..., None]
    scene.texture(chance, "spots", 0.06)


def foreground(scene: Scene, head: tuple[float, float], chance: Chance) -> None:
    """Paints objects in front of the animal, away from its head."""
    if not chance.happens(0.3):
        return
    x, y, size = chance.between(0.0, 1.0), chance.between(0.75, 1.05), chance.between(0.08, 0.2)
    if np.hypot(x - head[0], y - head[1]) > 0.3 + size:
        _object(scene, x, y, size, chance)


def _object(scene: Scene, x: float, y: float, size: float, chance: Chance) -> None:
    """Paints a ball, a bowl, a plant, a box or a cushion that stands at a place."""
    kind = chance.weighted({"ball": 2.0, "bowl": 1.2, "plant": 1.5, "box": 1.2, "yarn": 1.0})
    tone = colour(chance, 0.2, 0.8, 0.5)
    if chance.happens(0.5):
        tone = np.array(chance.one_of(_TOYS)) * chance.between(0.7, 1.1)
    scene.paint(0.35 * scene.disc(x, y, 1.2 * size, 0.25 * size), (0.08, 0.07, 0.06))
    if kind in ("ball", "yarn"):
        ball = scene.disc(x, y - 0.8 * size, 0.8 * size, 0.8 * size)
        scene.paint(ball, tone)
        if kind == "ball":
            scene.paint(ball * scene.band(-1, 2, y - 0.95 * size, y - 0.65 * size), colour(chance))
        else:
            lines = np.sin((scene.x * chance.about(0, 1) + scene.y) * (9 / size))
            scene.image *= (1 - 0.25 * ball * (lines > 0))[..., None]
        scene.paint(0.5 * scene.disc(x - 0.3 * size, y - 1.15 * size, 0.2 * size, 0.16 * size),
                    (1.0, 1.0, 1.0))  # fmt: skip
    elif kind == "bowl":
        scene.paint(scene.disc(x, y - 0.3 * size, size, 0.5 * size)
                    * scene.band(-1, 2, y - 0.35 * size, 2), tone)  # fmt: skip
        scene.paint(scene.disc(x, y - 0.35 * size, size, 0.22 * size), tone * 0.6)
        scene.paint(scene.disc(x, y - 0.3 * size, 0.8 * size, 0.15 * size), (0.42, 0.28, 0.18))
    elif kind == "plant":
        green = np.array([0.22, 0.45, 0.18]) * chance.between(0.6, 1.4)
        for _ in range(5):
            dx, up = chance.between(-1.0, 1.0), chance.between(1.0, 2.2)
            scene.paint(scene.disc(x + 0.8 * dx * size, y - up * size, 0.35 * size, 0.6 * size),
                        green * chance.between(0.7, 1.3))  # fmt: skip
        scene.paint(scene.band(x - 0.5 * size, x + 0.5 * size, y - 0.8 * size, y), tone)
    else:
        scene.paint(scene.band(x - size, x + size, y - 1.3 * size, y), tone)
        scene.paint(scene.band(x - 0.15 * size, x + 0.15 * size, y - 1.3 * size, y), tone * 0.75)
