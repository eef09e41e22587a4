"""Bodies of cats and dogs in several poses, in units of the trunk's length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlrecipes.data.generated.cats_dogs import shapes as s
from dlrecipes.data.generated.cats_dogs.shapes import Shapes, Vector
from dlrecipes.data.generated.chance import Chance


@dataclass(frozen=True)
class Body:
    """Proportions of a body.

    Args:
        legs: Length of the legs.
        girth: Radius of the chest.
        limb: Radius of the legs.
        neck: Length of the neck.
        tail: Length of the tail.
        tail_radius: Radius of the tail.
        tail_form: `"up"`, `"curled"`, `"low"` or `"stub"`.
    """

    legs: float
    girth: float
    limb: float
    neck: float
    tail: float
    tail_radius: float
    tail_form: str


def standing(shapes: Shapes, body: Body, chance: Chance) -> Vector:
    """Adds a standing or walking animal and returns where its neck ends."""
    g, high = body.girth, body.legs + 0.55 * body.girth
    _trunk(shapes, body, (0.36, 0.0, high), (-0.38, 0.0, high + chance.about(0.0, 0.02)))
    stride = chance.between(0.0, 0.16)
    for k, (x, side) in enumerate(((0.36, 1), (0.36, -1), (-0.42, 1), (-0.42, -1))):
        swing = stride if k in (0, 3) else -stride
        hip = (x, 0.55 * g * side, high - 0.3 * g)
        foot = (x + swing, 0.5 * g * side, body.limb)
        bend = 0.06 if x > 0 else -0.1
        knee = ((hip[0] + foot[0]) / 2 + bend, hip[1], high * 0.46)
        shapes.bone(s.LEG, hip, knee, body.limb * 1.35)
        shapes.bone(s.LEG, knee, foot, body.limb)
        _paw(shapes, foot, body)
    _tail(shapes, body, (-0.38 - 0.7 * g, 0.0, high + 0.3 * g), chance)
    return _neck(shapes, body, (0.42, 0.0, high + 0.3 * g), 0.45, chance)


def sitting(shapes: Shapes, body: Body, chance: Chance) -> Vector:
    """Adds a sitting animal and returns where its neck ends."""
    g = body.girth
    top = 0.45 + 0.45 * body.legs + chance.about(0.06, 0.03)
    _trunk(shapes, body, (0.16, 0.0, top), (-0.22, 0.0, 0.85 * g))
    for side in (1, -1):
        hip = (-0.2, 0.62 * g * side, 0.62 * g)
        knee = (0.14, 0.85 * g * side, 0.55 * g)
        shapes.bone(s.LEG, hip, knee, 0.62 * g)
        _paw(shapes, (0.24, 0.92 * g * side, body.limb * 0.9), body)
        shoulder = (0.2, 0.5 * g * side, top - 0.2 * g)
        foot = (0.34, 0.42 * g * side, body.limb)
        shapes.bone(s.LEG, shoulder, foot, body.limb * 1.1)
        _paw(shapes, foot, body)
    _tail_on_floor(shapes, body, (-0.3 - 0.5 * g, 0.0, 0.3 * g), chance)
    return _neck(shapes, body, (0.2, 0.0, top + 0.35 * g), 0.9, chance)


def lying(shapes: Shapes, body: Body, chance: Chance) -> Vector:
    """Adds an animal that lies with its head up and returns where its neck ends."""
    g = body.girth
    _trunk(shapes, body, (0.32, 0.0, 0.95 * g), (-0.36, chance.about(0.0, 0.05), 0.85 * g))
    tucked = chance.between(0.0, 1.0)
    for side in (1, -1):
        shapes.bone(
            s.LEG, (-0.38, 0.7 * g * side, 0.6 * g), (-0.12, 0.9 * g * side, 0.5 * g), 0.5 * g
        )
        _paw(shapes, (0.02, 0.95 * g * side, body.limb * 0.8), body)
        elbow = (0.34, 0.55 * g * side, 0.35 * g)
        foot = (0.5 + 0.35 * tucked * (0.6 + body.legs), (0.5 - 0.1 * tucked) * g * side, body.limb)
        shapes.bone(s.LEG, elbow, foot, body.limb * 1.1)
        _paw(shapes, foot, body)
    _tail_on_floor(shapes, body, (-0.42 - 0.6 * g, 0.0, 0.4 * g), chance)
    return _neck(shapes, body, (0.38, 0.0, 1.3 * g), 0.8, chance)


POSES = {"standing": standing, "sitting": sitting, "lying": lying}


def _trunk(shapes: Shapes, body: Body, chest: Vector, hip: Vector) -> None:
    g = body.girth
    middle = tuple((a + b) / 2 for a, b in zip(chest, hip, strict=True))
    shapes.bone(s.BACK, chest, hip, 0.9 * g)
    shapes.ball(s.BACK, chest, (1.05 * g, 0.95 * g, 1.08 * g))
    shapes.ball(s.BACK, hip, (g, 0.92 * g, 0.98 * g))
    shapes.ball(
        s.CHEST, (chest[0] + 0.32 * g, 0.0, chest[2] - 0.1 * g), (0.8 * g, 0.72 * g, 0.95 * g)
    )
    shapes.ball(s.CHEST, (middle[0], middle[1], middle[2] - 0.3 * g), (0.3, 0.66 * g, 0.68 * g),
                math.atan2(chest[2] - hip[2], chest[0] - hip[0]))  # fmt: skip


def _neck(shapes: Shapes, body: Body, base: Vector, steep: float, chance: Chance) -> Vector:
    """Adds the neck; `steep` is its slope, 0 level and 1 upright."""
    angle = steep * math.pi / 2
    end = (base[0] + body.neck * math.cos(angle), 0.0, base[2] + body.neck * math.sin(angle))
    shapes.bone(s.BACK, base, end, 0.68 * body.girth)
    shapes.ball(s.CHEST, ((base[0] + end[0]) / 2 + 0.25 * body.girth, 0.0,
                          (base[2] + end[2]) / 2 - 0.2 * body.girth),
                (0.55 * body.girth,) * 3)  # fmt: skip
    if chance.happens(0.3):
        girth = 0.78 * body.girth
        middle = (base[0] + 0.7 * (end[0] - base[0]), 0.0, base[2] + 0.7 * (end[2] - base[2]))
        shapes.ball(s.COLLAR, middle, (0.045, girth, girth), angle)
    return end


def _paw(shapes: Shapes, foot: Vector, body: Body) -> None:
    r = body.limb
    shapes.ball(s.PAW, (foot[0] + 0.7 * r, foot[1], 0.75 * r), (1.5 * r, 1.15 * r, 0.85 * r))


def _tail(shapes: Shapes, body: Body, root: Vector, chance: Chance) -> None:
    """Adds a tail of short pieces along a curve."""
    if body.tail_form == "stub":
        shapes.ball(s.TAIL, root, (1.6 * body.tail_radius,) * 3)
        return
    start, turn = {"up": (2.0, -0.12), "curled": (1.9, -0.95), "low": (3.9, -0.3)}[body.tail_form]
    start += chance.about(0.0, 0.2)
    turn += chance.about(0.0, 0.1)
    sway = chance.about(0.0, 0.25)
    x, y, z = root
    step, pieces = body.tail / 6, 6
    for k in range(pieces):
        following = (x + step * math.cos(start), y + step * sway, z + step * math.sin(start))
        following = (following[0], following[1], max(following[2], body.tail_radius))
        surface = s.TIP if k == pieces - 1 else s.TAIL
        shapes.bone(surface, (x, y, z), following, body.tail_radius * (1.15 - 0.06 * k))
        (x, y, z), start = following, start + turn


def _tail_on_floor(shapes: Shapes, body: Body, root: Vector, chance: Chance) -> None:
    if body.tail_form in ("stub", "curled"):
        _tail(shapes, body, root, chance)
        return
    direction = 1.0 if chance.happens(0.5) else -1.0
    angle, turn = math.pi, -direction * chance.between(0.35, 0.6)
    x, y, z = root
    step = body.tail / 6
    for k in range(6):
        angle += turn
        following = (x + step * math.cos(angle), y + step * math.sin(angle),
                     max(body.tail_radius, z - 0.5 * step))  # fmt: skip
        surface = s.TIP if k == 5 else s.TAIL
        shapes.bone(surface, (x, y, z), following, body.tail_radius * (1.15 - 0.06 * k))
        x, y, z = following
