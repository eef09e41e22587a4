"""Heads of cats and dogs, in units of the skull's radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlrecipes.data.generated.cats_dogs import shapes as s
from dlrecipes.data.generated.cats_dogs.shapes import Shapes, Vector
from dlrecipes.data.generated.chance import Chance

WHISKER: Vector = (0.93, 0.92, 0.9)
LIP: Vector = (0.10, 0.06, 0.06)


@dataclass(frozen=True)
class Head:
    """Proportions of a head.

    Args:
        ears: `"pointed"`, `"folded"` (semi-pricked) or `"floppy"`.
        ear_length: Length of the ears.
        ear_width: Half of the width at their base.
        muzzle: Length of the muzzle beyond the skull.
        wide: Width of the muzzle.
        eye: Radius of the eyes.
        cheeks: Size of the cheeks; long-haired animals have larger ones.
    """

    ears: str
    ear_length: float
    ear_width: float
    muzzle: float
    wide: float
    eye: float
    cheeks: float


def cat_head(shapes: Shapes, head: Head, chance: Chance) -> None:
    """Adds a cat's head to the shapes, in the frame that they are in."""
    apart = chance.about(0.45, 0.03)
    shapes.ball(s.HEAD, (0.0, 0.0, 0.05), (0.92, 0.98, 0.86))
    shapes.ball(s.BROW, (0.42, 0.0, 0.28), (0.42, 0.48, 0.36))
    for side in (-1.0, 1.0):
        shapes.ball(s.HEAD, (0.28, 0.5 * side, -0.28), (0.5, 0.52 * head.cheeks, 0.46))
        pad = 0.68 + head.muzzle
        shapes.ball(s.MUZZLE, (pad, 0.17 * side, -0.34), (0.3, 0.26 * head.wide, 0.22))
    shapes.ball(s.MUZZLE, (0.62 + head.muzzle, 0.0, -0.54), (0.26, 0.24, 0.18))
    shapes.bone(s.BROW, (0.72, 0.0, 0.1), (0.78 + head.muzzle, 0.0, -0.16), 0.17)
    shapes.ball(s.NOSE, (0.95 + head.muzzle, 0.0, -0.2), (0.09, 0.13, 0.085))
    narrow = chance.between(0.35, 1.0)
    closed = chance.happens(0.06)
    for side in (-1.0, 1.0):
        _eye(shapes, (0.79, apart * side, 0.02), head.eye, 0.055 * narrow + 0.02, 0.42, closed)
    outward = chance.about(0.2, 0.08)
    spread = chance.about(0.52, 0.04)
    back = chance.about(0.0, 0.08)
    if head.ears == "folded":
        for side in (-1.0, 1.0):
            base, tip = (0.0, 0.62 * side, 0.62), (0.45, 0.86 * side, 0.5)
            shapes.ear(base, tip, (0.1, 0.36, -0.12 * side), False)
    else:
        for side in (-1.0, 1.0):
            base = (back, spread * side, 0.48)
            tip = (back - 0.05, (spread + outward) * side, 0.55 + head.ear_length)
            width = head.ear_width
            shapes.ear(base, tip, (0.12 * side, width, -0.32 * width * side), True)
    _cat_mouth(shapes, head, chance)


def _cat_mouth(shapes: Shapes, head: Head, chance: Chance) -> None:
    front = 1.0 + head.muzzle
    if chance.happens(0.06):
        shapes.ball(s.TONGUE, (front - 0.16, 0.0, -0.52), (0.12, 0.12, 0.1))
    shapes.line(LIP, [(front, 0.0, -0.2 - 0.04 * k) for k in range(5)], 0.7)
    for side in (-1.0, 1.0):
        curve = [(front - 0.06 - 0.012 * k * k, 0.055 * k * side, -0.37 - 0.02 * k + 0.004 * k * k)
                 for k in range(6)]  # fmt: skip
        shapes.line(LIP, curve, 0.75)
        droop = chance.between(-0.12, 0.1)
        for row in (0.05, -0.04, -0.13):
            steps = [k / 15 for k in range(16)]
            shapes.line(WHISKER, [(front - 0.15 - 0.25 * t, (0.28 + 1.1 * t) * side,
                                   -0.33 + row * (1 + 2.2 * t) + droop * t * t) for t in steps],
                        0.55)  # fmt: skip


def dog_head(shapes: Shapes, head: Head, chance: Chance) -> None:
    """Adds a dog's head to the shapes, in the frame that they are in."""
    apart = chance.about(0.37, 0.03)
    tip = 0.72 + head.muzzle
    wide = head.wide
    shapes.ball(s.HEAD, (0.0, 0.0, 0.08), (0.88, 0.82, 0.82))
    shapes.ball(s.BROW, (0.42, 0.0, 0.34), (0.38, 0.5, 0.32))
    for side in (-1.0, 1.0):
        shapes.ball(s.HEAD, (0.22, 0.42 * side, -0.22), (0.5, 0.42 * head.cheeks, 0.5))
        # The upper lip hangs over the lower jaw.
        shapes.ball(s.MUZZLE, (tip - 0.3, 0.2 * side * wide, -0.42), (0.42, 0.2 * wide, 0.26))
    shapes.bone(s.MUZZLE, (0.45, 0.0, -0.16), (tip, 0.0, -0.24), 0.36 * wide)
    shapes.bone(s.BROW, (0.5, 0.0, 0.08), (tip - 0.02, 0.0, -0.04), 0.17 * wide)
    shapes.ball(s.NOSE, (tip + 0.2, 0.0, -0.08), (0.16, 0.24 * wide, 0.17))
    pants = chance.happens(0.35)
    closed = chance.happens(0.06)
    drop = -0.74 if pants else -0.6
    shapes.bone(s.MUZZLE, (0.35, 0.0, -0.45), (tip - 0.12, 0.0, drop), 0.18 * wide)
    if pants:
        long = chance.between(0.16, 0.34)
        shapes.ball(s.TONGUE, (tip - 0.02, 0.03, drop + 0.04 - 0.4 * long), (0.12, 0.15, long))
    for side in (-1.0, 1.0):
        _eye(shapes, (0.77, apart * side, 0.1), head.eye, head.eye * 0.62, 0.35, closed)
    steps = [k / 9 for k in range(10)]
    for side in (-1.0, 1.0):
        shapes.line(LIP, [(tip + 0.12 - 0.75 * t, 0.4 * wide * side * min(1.0, 2.2 * t),
                           -0.5 - 0.1 * t + 0.12 * t * t) for t in steps], 0.6)  # fmt: skip
    shapes.line(LIP, [(tip + 0.22, 0.0, -0.2 - 0.05 * k) for k in range(6)], 0.7)
    _dog_ears(shapes, head, chance)


def _dog_ears(shapes: Shapes, head: Head, chance: Chance) -> None:
    length, width = head.ear_length, head.ear_width
    swing = chance.between(-0.15, 0.25)
    tilted = chance.about(0.0, 0.1)
    for side in (-1.0, 1.0):
        if head.ears == "pointed":
            base = (-0.12, 0.44 * side, 0.5)
            tip = (-0.12, (0.58 + tilted) * side, 0.62 + length)
            shapes.ear(base, tip, (0.14 * side, width, -0.2 * width * side), True)
        elif head.ears == "folded":
            top = (-0.05, 0.7 * side, 0.62 + 0.45 * length)
            shapes.bone(s.EAR, (-0.1, 0.5 * side, 0.5), top, 0.22)
            tip = (0.38, 0.86 * side, 0.78 - 0.25 * length)
            shapes.ear((top[0], 0.66 * side, top[2] + 0.08), tip, (0.22, 0.3 * side, 0.1), False)
        else:
            base = (-0.02, 0.66 * side, 0.52)
            out = 0.98 + 0.2 * swing
            tip = (0.0 + swing, out * side, 0.5 - length)
            shapes.ball(s.EAR, (-0.02, 0.68 * side, 0.42), (0.3, 0.2, 0.2))
            shapes.ear(base, tip, (width, 0.42 * width * side, 0.1), False)


def _eye(shapes: Shapes, place: Vector, radius: float, pupil: float, outward: float,
         closed: bool) -> None:  # fmt: skip
    x, y, z = place
    side = 1.0 if y > 0 else -1.0
    turn = side * outward
    ahead = (math.cos(turn), math.sin(turn))

    def at(out: float, left: float = 0.0, up: float = 0.0) -> Vector:
        return (x + out * ahead[0] - left * ahead[1], y + out * ahead[1] + left * ahead[0], z + up)

    if closed:
        shapes.disc(s.RIM, at(0.03), (0.1, 1.1 * radius, 0.05), turn)
        return
    shapes.disc(s.RIM, at(0.0), (0.09, radius * 1.2, radius * 1.1), turn)
    shapes.disc(s.IRIS, at(0.03), (0.1, radius, radius * 0.92), turn)
    shapes.disc(s.PUPIL, at(0.075), (0.08, pupil, radius * 0.72), turn)
    shapes.line((1.0, 1.0, 1.0), [at(0.2, -0.25 * radius, 0.38 * radius)], 0.9)
