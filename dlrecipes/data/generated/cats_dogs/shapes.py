"""Shapes that an animal is made of: ellipsoids, ears and lines, placed in space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Vector = tuple[float, float, float]
# Surfaces by what covers them. Those from EYE on do not blend with their neighbours.
(BACK, CHEST, HEAD, BROW, MUZZLE, EAR, LEG, PAW, TAIL, TIP,
 INNER_EAR, NOSE, IRIS, PUPIL, TONGUE, COLLAR, RIM) = range(17)  # fmt: skip
SURFACES = 17


def rotation(yaw: float, nod: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Returns the matrix from an animal's axes to the camera's.

    The animal's axes are forward, left and up; the camera's are right, up and towards it.

    Args:
        yaw: Angle in radians; 0 looks at the camera and a quarter turn to the right.
        nod: Angle in radians by which the front points up. Defaults to 0.
        roll: Angle in radians by which the left side is lifted. Defaults to 0.
    """
    s, c = math.sin(yaw), math.cos(yaw)
    turn = np.array([[s, c, 0.0], [0.0, 0.0, 1.0], [c, -s, 0.0]])
    s, c = math.sin(nod), math.cos(nod)
    up = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    s, c = math.sin(roll), math.cos(roll)
    side = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return turn @ up @ side


class Frame:
    """A position, direction and scale in the camera's space, in which shapes are placed."""

    def __init__(self, axes: np.ndarray, origin: np.ndarray, scale: float = 1.0):
        self.axes, self.origin = axes * scale, origin

    def point(self, place: Vector) -> np.ndarray:
        """Returns a place of this frame in the camera's space."""
        return self.axes @ np.array(place) + self.origin


@dataclass(frozen=True)
class Ear:
    """A flat ear: vectors from its base to its tip and to its left edge.

    Args:
        foot: Middle of the base.
        along: Vector from there to the tip.
        across: Vector from there to the left edge.
        pointed: Whether it is a triangle; otherwise it is rounded.
        number: Number of the shape of its outside; its inside has the next number.
    """

    foot: np.ndarray
    along: np.ndarray
    across: np.ndarray
    pointed: bool
    number: int


class Shapes:
    """Collects the shapes of one animal."""

    def __init__(self) -> None:
        self.centres: list = []
        self.axes: list = []
        self.surfaces: list[int] = []
        self.frames: list[tuple[Frame, int]] = []
        self.ears: list[Ear] = []
        self.lines: list = []

    def within(self, frame: Frame) -> None:
        """Places the shapes that follow in a frame."""
        self.frame = frame
        self.frames.append((frame, len(self.centres)))

    def ball(self, surface: int, centre: Vector, radii: Vector, tilt: float = 0.0) -> None:
        """Adds an ellipsoid; `tilt` turns it about the axis that points left."""
        x, y, z = radii
        s, c = math.sin(tilt), math.cos(tilt)
        self.centres.append(centre)
        self.axes.append((c * x, 0.0, -s * z, 0.0, y, 0.0, s * x, 0.0, c * z))
        self.surfaces.append(surface)

    def disc(self, surface: int, centre: Vector, radii: Vector, turn: float) -> None:
        """Adds an ellipsoid whose first axis is turned to the left by an angle in radians."""
        x, y, z = radii
        s, c = math.sin(turn), math.cos(turn)
        self.centres.append(centre)
        self.axes.append((c * x, -s * y, 0.0, s * x, c * y, 0.0, 0.0, 0.0, z))
        self.surfaces.append(surface)

    def bone(self, surface: int, start: Vector, end: Vector, radius: float) -> None:
        """Adds an ellipsoid that reaches from one point to another and a little beyond."""
        dx, dy, dz = (b - a for a, b in zip(start, end, strict=True))
        length = math.sqrt(dx * dx + dy * dy + dz * dz) or 1e-6
        x, y, z = dx / length, dy / length, dz / length
        # Two directions at right angles to the bone.
        flat = math.hypot(x, y)
        u, v = (-y / flat, x / flat) if flat > 1e-6 else (1.0, 0.0)
        half = length / 2 + 0.55 * radius
        self.centres.append(tuple((a + b) / 2 for a, b in zip(start, end, strict=True)))
        self.axes.append((
            half * x, radius * u, -radius * z * v,
            half * y, radius * v, radius * z * u,
            half * z, 0.0, radius * (x * v - y * u),
        ))  # fmt: skip
        self.surfaces.append(surface)

    def ear(self, base: Vector, tip: Vector, side: Vector, pointed: bool) -> None:
        """Adds a flat ear, pointed or round; `side` is half of its base, to the left."""
        foot = self.frame.point(base)
        along, across = self.frame.point(tip) - foot, self.frame.axes @ np.array(side)
        self.ears.append(Ear(foot, along, across, pointed, len(self.centres)))
        # Two shapes without extent stand for its outside and its inside.
        for surface in (EAR, INNER_EAR):
            self.ball(surface, (0.0, 0.0, 1e4), (1e-3,) * 3)

    def line(self, colour: Vector, points: list[Vector], opacity: float) -> None:
        """Adds a thin line, which shows where no surface is in front of it."""
        places = np.array(points) @ self.frame.axes.T + self.frame.origin
        self.lines.append((colour, places, opacity))

    def placed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns centres `(n, 3)`, axes in columns `(n, 3, 3)` and surfaces `(n,)`."""
        centres = np.array(self.centres)
        axes = np.array(self.axes).reshape(-1, 3, 3)
        ends = [start for _, start in self.frames[1:]] + [len(centres)]
        for (frame, start), end in zip(self.frames, ends, strict=True):
            centres[start:end] = centres[start:end] @ frame.axes.T + frame.origin
            axes[start:end] = frame.axes @ axes[start:end]
        return centres, axes, np.array(self.surfaces, "uint8")
