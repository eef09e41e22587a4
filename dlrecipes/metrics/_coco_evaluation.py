"""COCO's average precision and recall, computed by `faster-coco-eval`.

Its results equal those of `pycocotools`, in a quarter of the time; it is the more actively
developed of the two, needs NumPy alone, and has wheels for Python 3.10 to 3.14 on Linux (x86-64 and
AArch64), macOS and Windows, under the licence Apache 2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster, mask

from dlrecipes.metrics._box_matching import areas

# The area ranges and the numbers of predictions in the order in which COCO counts them.
SIZES = ("all", "small", "medium", "large")
NUMBERS = (1, 10, 100)


@dataclass(frozen=True)
class CocoResults:
    """The counts of COCO's evaluation; -1 where no object is in a class and range of areas.

    Args:
        precision: Shape `(10 overlaps, 101 recalls, classes, 4 sizes, 3 numbers)`.
        recall: Shape `(10 overlaps, classes, 4 sizes, 3 numbers)`.
    """

    precision: np.ndarray
    recall: np.ndarray

    def average(
        self,
        what: str = "precision",
        overlap: slice | int = slice(None),
        own: slice | int = slice(None),
        size: str = "all",
        number: int = 100,
    ) -> float | None:
        """Returns the mean of what is defined, or `None` where nothing is.

        Args:
            what: `"precision"` or `"recall"`. Defaults to `"precision"`.
            overlap: Places of the thresholds 0.5, 0.55, ..., 0.95. Defaults to all of them.
            own: Classes. Defaults to all of them.
            size: Range of areas, one of `SIZES`. Defaults to `"all"`.
            number: Predictions of a class in an image, one of `NUMBERS`. Defaults to 100.
        """
        column = (..., own, SIZES.index(size), NUMBERS.index(number))
        values = getattr(self, what)[column][overlap]
        defined = values[values > -1]
        return float(defined.mean()) if defined.size else None


def evaluate(
    predictions: Sequence[Mapping[str, np.ndarray]],
    truths: Sequence[Mapping[str, np.ndarray]],
    classes: int,
) -> CocoResults:
    """Evaluates checked predictions of at least one image; nothing is printed."""
    truth = _dataset(truths, classes)
    evaluation = _Evaluation(truth, _dataset(predictions, classes), "bbox")
    evaluation.params.maxDets = list(NUMBERS)
    evaluation.evaluate()
    evaluation.accumulate()
    return CocoResults(
        np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"])
    )


class _Evaluation(COCOeval_faster):
    """The evaluation with the ordinary overlap for ignored objects.

    The library overwrites the mark `ignore` with `iscrowd`. Any number of predictions may find an
    object with that mark, and they count as neither hits nor misses: this is what VOC does with
    difficult objects. But the library divides their intersection with it by their own area
    instead of the union: a small box inside a crowd overlaps it fully. On a large difficult object,
    that would excuse every small mistake.
    """

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802
        truth, guesses = (
            dataset.get_instances([imgId], [catId], True)[0][0]
            for dataset in (self.gt_dataset, self.dt_dataset)
        )
        if not truth or not guesses:
            return []
        order = np.argsort([-guess["score"] for guess in guesses], kind="stable")
        kept = [guesses[place]["bbox"] for place in order[: NUMBERS[-1]]]
        return mask.iou(kept, [one["bbox"] for one in truth], [0] * len(truth))


def _dataset(images: Sequence[Mapping[str, np.ndarray]], classes: int) -> COCO:
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        boxes = image["boxes"]
        sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
        rows = zip(
            np.concatenate([boxes[:, :2], sizes], axis=1).tolist(),
            areas(boxes).tolist(),
            image["classes"].tolist(),
            image["ignored"].tolist(),
            image.get("scores", np.ones(len(boxes))).tolist(),
            strict=True,
        )
        annotations += [
            {
                # 0 means "unmatched".
                "id": len(annotations) + place,
                "image_id": number,
                "category_id": own,
                "bbox": box,
                "area": area,
                "iscrowd": int(ignored),
                "score": score,
            }
            for place, (box, area, own, ignored, score) in enumerate(rows, 1)
        ]
    return COCO(
        {
            "images": [{"id": number} for number in range(len(images))],
            "categories": [{"id": own, "name": str(own)} for own in range(classes)],
            "annotations": annotations,
        }
    )
