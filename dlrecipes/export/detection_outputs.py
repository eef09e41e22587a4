"""Comparison of two detectors' outputs: boxes are matched, because rounding changes their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrecipes.errors import PublishError

# Outputs of a detector's LiteRT file. MediaPipe requires four, all of them float32.
LOCATIONS, CLASSES, SCORES, COUNT = "locations", "classes", "scores", "count"
# Largest differences of an edge, in pixels or as a part of an image of 4096 pixels, and of a score.
PIXELS, PART, SCORE = 0.5, 0.5 / 4096, 1e-3
# Rounding errors move an overlap by less, unless a box has hardly any area.
OVERLAP = 1e-3
# Part of the boxes that others with the same score may replace.
SWAPPED = 0.01

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class DetectionMatch:
    """Compares the detections of two implementations of the same detector.

    Kernels add numbers in different orders, so that two files differ by rounding errors. A detector
    decides by comparisons: a score above a threshold, the better of two scores, an overlap above a
    threshold. Where both sides of a comparison are equal up to rounding, another kernel may decide
    otherwise, and a box is missing, or another takes its place. Comparing rows would then fail, and
    no tolerance would help.

    So each box must have a counterpart of the same class, no edge of which differs by more than
    half a pixel (or, of `locations`, half a pixel of an image of 4096), and whose score differs by
    at most 0.001. A box may lack a counterpart only if the outputs themselves show the comparison
    that was decided otherwise:

    - its score is that close to the threshold of scores;
    - the other side has no free row, and its last score is that close, or higher;
    - its overlap with a better box of its class is within 0.001 of the threshold of overlaps;
    - a box of the other side suppresses it that lacks a counterpart for one of these reasons, and
      has a higher score;
    - a box of the other side suppresses it that lacks a counterpart as well, and has a score that
      close. A box that is moved looks the same, so that this may happen to one box in 100 only.

    Args:
        iou_threshold: Overlap above which the detector removes the worse of two boxes.
        score_threshold: Score that its boxes exceed.
    """

    iou_threshold: float
    score_threshold: float

    def packed(self) -> dict[str, str]:
        """Returns the thresholds as text, which `unpacked` reads."""
        return {
            "iou_threshold": repr(float(self.iou_threshold)),
            "score_threshold": repr(float(self.score_threshold)),
        }

    @classmethod
    def unpacked(cls, texts: Mapping[str, str]) -> DetectionMatch:
        """Returns the comparison with the thresholds that `packed` returned."""
        return cls(float(texts["iou_threshold"]), float(texts["score_threshold"]))

    def assert_match(
        self,
        what: str,
        pairs: Iterable[tuple[Outputs, Outputs]],
        tolerance: float = 0.0,
    ) -> None:
        """Compares detections with the expected ones.

        Args:
            what: Name of the function, for error messages.
            pairs: Expected outputs and outputs of the other function, for each example. They are
                those of `detection_signatures`: `boxes` and `labels`, or `locations` and `classes`,
                with `scores` and `count`.
            tolerance: Largest differences of locations and scores, if they are to be larger than
                those above, as for int8. Defaults to 0.

        Raises:
            PublishError: At the first box without a counterpart.
        """
        total, swapped = 0, []
        for expected, outputs in pairs:
            _assert_same_form(what, expected, outputs)
            limits = _Limits.of(expected, tolerance)
            for row in range(len(expected["scores"])):
                sides = [_Detections.of(what, side, row) for side in (expected, outputs)]
                total += len(sides[0].scores)
                swapped += self._swapped(what, sides[0], sides[1], limits)
        if len(swapped) > total * SWAPPED:
            raise PublishError(f"{what}: {swapped[0]}")

    def _swapped(
        self, what: str, one: _Detections, other: _Detections, limits: _Limits
    ) -> list[str]:
        """Returns errors on boxes in whose place are others; raises one on boxes without reason."""
        rows = _without_counterpart(one, other, limits)
        lacking, added = one.take(rows[0]), other.take(rows[1])
        explained = (
            np.array([self._is_borderline(k, one, other, limits) for k in rows[0]], bool),
            np.array([self._is_borderline(k, other, one, limits) for k in rows[1]], bool),
        )
        overlaps = _overlaps(lacking.boxes, added.boxes) > self.iou_threshold - OVERLAP
        suppresses = overlaps & (lacking.classes[:, None] == added.classes)
        difference = lacking.scores[:, None] - added.scores
        for _ in range(sum(map(len, rows))):
            explained[0][:] |= (suppresses & (difference <= 0) & explained[1]).any(axis=1)
            explained[1][:] |= (suppresses & (difference >= 0) & explained[0][:, None]).any(axis=0)
        swapped = suppresses & (np.abs(difference) <= limits.score)
        errors = [lacking.error("lacks", int(k)) for k in np.flatnonzero(~explained[0])]
        replaced = swapped.any(axis=1)[~explained[0]]
        if not replaced.all():
            raise PublishError(f"{what}: {errors[int(np.argmin(replaced))]}")
        alone = ~explained[1] & ~swapped.any(axis=0)
        if alone.any():
            raise PublishError(f"{what}: {added.error('adds', int(np.argmax(alone)))}")
        return errors

    def _is_borderline(
        self, k: int, side: _Detections, other: _Detections, limits: _Limits
    ) -> bool:
        """Returns whether a threshold that a box is close to may have removed it elsewhere."""
        score = side.scores[k]
        if score <= self.score_threshold + limits.score:
            return True
        if other.is_full and score <= other.scores[-1] + limits.score:
            return True
        better = (side.scores >= score - limits.score) & (side.classes == side.classes[k])
        better[k] = False
        overlap = _overlaps(side.boxes[k : k + 1], side.boxes[better])
        return bool((np.abs(overlap - self.iou_threshold) <= OVERLAP).any())


@dataclass(frozen=True)
class _Limits:
    """Largest differences of edges and scores."""

    edge: float
    score: float

    @classmethod
    def of(cls, outputs: Mapping[str, np.ndarray], tolerance: float) -> _Limits:
        edge = PIXELS if "boxes" in outputs else max(PART, tolerance)
        return cls(edge, max(SCORE, tolerance))


@dataclass(frozen=True)
class _Detections:
    """The detections in one image: boxes, classes by number or name, and scores."""

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    is_full: bool

    @classmethod
    def of(cls, what: str, outputs: Mapping[str, Any], row: int) -> _Detections:
        """Returns the detections of an image, after checks of what does not depend on rounding."""
        boxes = outputs["boxes" if "boxes" in outputs else "locations"][row].astype(np.float64)
        labels = outputs["labels" if "labels" in outputs else "classes"][row]
        scores = outputs["scores"][row].astype(np.float64)
        is_real = labels != b"" if labels.dtype == object else labels >= 0
        number = int(is_real.sum())
        counted = number if "boxes" in outputs else len(scores)
        if int(outputs["count"][row]) != counted:
            raise PublishError(f"{what}: count is {outputs['count'][row]}, expected {counted}.")
        if not is_real[:number].all() or scores[number:].any() or not np.isfinite(boxes).all():
            raise PublishError(f"{what}: the rows after the last detection are not padding.")
        # Written so that a NaN, which compares false, fails.
        if not (np.diff(scores) <= 0).all():
            raise PublishError(f"{what}: the scores do not decrease.")
        full = number == len(scores)
        return cls(boxes[:number], labels[:number], scores[:number], full)

    def error(self, verb: str, row: int) -> str:
        """Returns a message that names a box."""
        box = ", ".join(f"{edge:.4g}" for edge in self.boxes[row])
        return f"it {verb} a box ({box}) of class {self.classes[row]} with the score " + (
            f"{self.scores[row]:.4f}."
        )

    def take(self, rows: list[int]) -> _Detections:
        return _Detections(self.boxes[rows], self.classes[rows], self.scores[rows], self.is_full)


def _assert_same_form(what: str, expected: Outputs, outputs: Outputs) -> None:
    if set(expected) != set(outputs):
        raise PublishError(
            f"{what}: outputs {sorted(outputs)} where the model has {sorted(expected)}."
        )
    for name, reference in expected.items():
        if reference.shape != outputs[name].shape:
            raise PublishError(
                f"{what}: {name} has shape {outputs[name].shape}, the model {reference.shape}."
            )


def _without_counterpart(
    one: _Detections, other: _Detections, limits: _Limits
) -> tuple[list[int], list[int]]:
    """Returns the rows of both sides that have no counterpart: the closest pairs match first."""
    edges = np.abs(one.boxes[:, None] - other.boxes).max(axis=-1, initial=0)
    scores = np.abs(one.scores[:, None] - other.scores)
    same = one.classes[:, None] == other.classes
    matches = same & (edges <= limits.edge) & (scores <= limits.score)
    pairs = sorted(np.argwhere(matches).tolist(), key=lambda pair: edges[tuple(pair)])
    rows, columns = set(range(len(one.scores))), set(range(len(other.scores)))
    for row, column in pairs:
        if row in rows and column in columns:
            rows.remove(row)
            columns.remove(column)
    return sorted(rows), sorted(columns)


def _overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of each pair of boxes; any order of the axes will do."""
    starts = np.maximum(one[:, None, :2], other[:, :2])
    ends = np.minimum(one[:, None, 2:], other[:, 2:])
    common = np.maximum(ends - starts, 0).prod(axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
