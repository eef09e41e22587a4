"""Rendering of shapes: for each pixel, which surface is seen and how far away it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlrecipes.data.generated.cats_dogs.shapes import EAR, INNER_EAR, Shapes

FAR = np.float32(-1e3)
# Surfaces from this one on keep their edges; the others blend like clay.
_FIRST_HARD = INNER_EAR


@dataclass
class View:
    """What the camera sees, at twice the size of the image.

    Args:
        depth: Distance towards the camera in pixels, float32 of shape `(rows, columns)`; `FAR`
            where nothing is seen.
        surface: Surface of each pixel, uint8 of shape `(rows, columns)`.
        number: Shape of each pixel, uint8 of shape `(rows, columns)`.
        axes: Axes of the shapes in pixels, of shape `(n, 3, 3)`.
        centres: Centres of the shapes in pixels, of shape `(n, 3)`.
        offset: Column and row of the origin of space.
    """

    depth: np.ndarray
    surface: np.ndarray
    number: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    offset: tuple[float, float]


def render(shapes: Shapes, scale: float, offset: tuple[float, float], side: int,
           fur: np.ndarray, shag: float) -> View:  # fmt: skip
    """Returns a view of the shapes from the front.

    Args:
        shapes: Shapes of the animal.
        scale: Pixels per unit of space.
        offset: Column and row of the origin.
        side: Height and width in pixels.
        fur: Noise that ruffles the edges, float32 of shape `(side, side)`.
        shag: Length of the hair in pixels.
    """
    centres, axes, surfaces = shapes.placed()
    flip = np.array([scale, -scale, scale])
    centres, axes = centres * flip + [*offset, 0.0], axes * flip[:, None]
    depth = np.full((side, side), FAR, "float32")
    surface = np.zeros((side, side), "uint8")
    number = np.zeros((side, side), "uint8")
    view = View(depth, surface, number, axes, centres, offset)
    _ellipsoids(view, surfaces, fur, shag, blend=0.09 * scale)
    for kind, foot, along, across, form in shapes.ears:
        _ear(view, kind, foot * flip + [*offset, 0.0], along * flip, across * flip, form, fur, shag)
    return view


def _ellipsoids(view: View, surfaces: np.ndarray, fur, shag: float, blend: float) -> None:
    spread = view.axes @ view.axes.transpose(0, 2, 1)
    flat = np.linalg.inv(spread[:, :2, :2])
    slope = (flat @ spread[:, :2, 2:])[:, :, 0]
    thick = np.sqrt(np.maximum(spread[:, 2, 2] - (slope * spread[:, :2, 2]).sum(axis=1), 1e-6))
    reach = np.sqrt(spread[:, [0, 1], [0, 1]]) + 1
    side = len(view.depth)
    low = np.clip(np.floor(view.centres[:, :2] - reach), 0, side).astype(int).tolist()
    high = np.clip(np.ceil(view.centres[:, :2] + reach) + 1, 0, side).astype(int).tolist()
    ruffle = np.where(surfaces < _FIRST_HARD, 2 * shag / (reach.min(axis=1) + 1), 0.0)
    rows = np.column_stack(
        [view.centres, flat[:, 0, 0], flat[:, 1, 1], 2 * flat[:, 0, 1], slope, thick, ruffle]
    ).tolist()
    line = np.arange(side, dtype="float32")
    for number, kind in enumerate(surfaces.tolist()):
        (left, top), (right, bottom) = low[number], high[number]
        if left >= right or top >= bottom:
            continue
        cx, cy, cz, xx, yy, xy, sx, sy, thickness, rough = rows[number]
        dx, dy = line[left:right] - cx, (line[top:bottom] - cy)[:, None]
        inside = (1 - xx * dx * dx) - (dy * xy) * dx
        inside -= yy * dy * dy
        box = (slice(top, bottom), slice(left, right))
        if rough:
            inside += rough * fur[box]
        covered = inside > 0
        np.maximum(inside, 0, out=inside)
        np.sqrt(inside, out=inside)
        inside *= thickness
        inside += sx * dx + (cz + sy * dy)
        depth = view.depth[box]
        gap = inside - depth
        nearer = covered & (gap > 0)
        if kind < _FIRST_HARD:
            # A smooth maximum joins neighbouring shapes without a crease.
            np.abs(gap, out=gap)
            np.subtract(blend, gap, out=gap)
            np.maximum(gap, 0, out=gap)
            gap *= gap
            gap *= 0.25 / blend
            np.copyto(depth, np.maximum(inside, depth) + gap, where=covered)
        else:
            np.copyto(depth, inside, where=nearer)
        view.surface[box][nearer] = kind
        view.number[box][nearer] = number


def _ear(view: View, kind: int, foot, along, across, form: str, fur, shag: float) -> None:
    """Draws a flat ear, whose inside is seen where it faces the camera."""
    # An ear seen on edge keeps some width.
    flat = np.array([[across[0], along[0]], [across[1], along[1]]])
    det = flat[0, 0] * flat[1, 1] - flat[0, 1] * flat[1, 0]
    least = 0.3 * np.hypot(*flat[:, 1]) * np.linalg.norm(across)
    if abs(det) < least:
        normal = np.array([flat[1, 1], -flat[0, 1]]) / (np.hypot(*flat[:, 1]) or 1)
        flat[:, 0] += normal * np.copysign((least - abs(det)) / (np.hypot(*flat[:, 1]) or 1), det)
    det = flat[0, 0] * flat[1, 1] - flat[0, 1] * flat[1, 0]
    if abs(det) < 1e-6:
        return
    side = len(view.depth)
    corners = foot[:2] + np.array([flat[:, 0], -flat[:, 0], flat[:, 1] * 1.05,
                                   flat[:, 1] + flat[:, 0], flat[:, 1] - flat[:, 0]])  # fmt: skip
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, side).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, side).astype(int)
    if left >= right or top >= bottom:
        return
    dx = np.arange(left, right, dtype="float32") - float(foot[0])
    dy = (np.arange(top, bottom, dtype="float32") - float(foot[1]))[:, None]
    s = float(flat[1, 1] / det) * dx - float(flat[0, 1] / det) * dy
    t = float(flat[0, 0] / det) * dy - float(flat[1, 0] / det) * dx
    box = (slice(top, bottom), slice(left, right))
    width = (
        (1 - t) * (1 + 0.55 * t)
        if form == "pointed"
        else 1.75 * np.sqrt(np.clip((1 - t) * (t + 0.16), 0, None)) * (0.55 + 0.3 * t)
    )
    s = np.abs(s)
    inside = width - s + fur[box] * (0.5 * shag / max(1.0, float(np.linalg.norm(across))))
    covered = (inside > 0) & (t > -0.15) & (t < 1)
    thick = 0.35 * float(np.linalg.norm(across))
    z = float(foot[2]) + t * float(along[2]) + thick * np.minimum(width, 1) * (1 - s)
    nearer = covered & (z > view.depth[box])
    view.depth[box][nearer] = z[nearer]
    view.surface[box][nearer] = kind
    # The inside of a pricked ear faces forward.
    if form == "pointed":
        facing = np.cross(across, along)[2] < 0
        if facing:
            inner = nearer & (inside > 0.34 + 0.1 * t) & (t > 0.02)
            view.surface[box][inner] = INNER_EAR
            view.depth[box][inner] -= 0.5 * thick


__all__ = ["EAR", "FAR", "View", "render"]
