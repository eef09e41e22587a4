"""Reports on images with boxes: their classes, sizes, aspect ratios, anchors, and a sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dlrecipes.data.box_examples import BoxExamples, BoxTable
from dlrecipes.data.folder_entries import natural
from dlrecipes.data.image_facts import EncodedImage
from dlrecipes.data.reports.class_counts import add_classes
from dlrecipes.data.reports.copies import WHOLE
from dlrecipes.data.reports.images import ImageCheck
from dlrecipes.data.reports.report import DataReport, Finding
from dlrecipes.errors import DataError

# Height and width of the network's images, unless given.
SIZE = 256
# Areas between small, medium and large boxes: COCO's.
SMALL, LARGE = 32**2, 96**2
# A box with a shorter side, in the network's image, is hard to see.
LEAST_SIDE = 4
# Boxes from which anchors are suggested: one of each of nine shapes.
_LEAST_BOXES = 9
# Images of the sheet, per row, and pixels of their longer side.
SHEET_ROWS, SHEET_COLUMNS, SHEET_SIDE = 3, 4, 320


def report_boxes(
    parts: Mapping[str, BoxExamples], name: str, notes: Sequence[str] = (), size: int = SIZE
) -> DataReport:
    """Returns the report on the parts of images with boxes; every image is decoded once.

    Args:
        parts: Images with boxes by part; the first part is the one for training.
        name: Name of the data.
        notes: Sentences about how the data was read. Defaults to none.
        size: Height and width of the network's images. Defaults to 256.
    """
    report = DataReport(name, notes=list(notes))
    files = {
        part: {
            "": [
                EncodedImage(examples.sources(k), partial(examples.image_bytes, k))
                for k in range(len(examples))
            ]
        }
        for part, examples in parts.items()
    }
    check = ImageCheck(Path(name), files)
    check.read()
    check.add_to(report)
    add_boxes(report, parts, size)
    return report


def add_boxes(report: DataReport, parts: Mapping[str, BoxExamples], size: int = SIZE) -> None:
    """Adds tables of the boxes of each part to a report, suggested anchors, and a sheet.

    Args:
        report: Report that receives the tables, warnings and the figure.
        parts: Images with boxes by part; the first part is the one for training.
        size: Height and width of the network's images. Defaults to 256.
    """
    first = next(iter(parts))
    flat = {part: examples.flat() for part, examples in parts.items()}
    names = parts[first].names
    _add_counts(report, flat)
    add_classes(report, _by_class(flat, names, _boxes), "boxes", title="Boxes by class")
    images = _by_class(flat, names, _images)
    rows = [[name, *(own[name] for own in images.values())] for name in sorted(names, key=natural)]
    report.add_table("Images by class", ["class", *parts], rows)
    _add_sizes(report, flat)
    _add_shapes(report, parts)
    _add_anchors(report, parts[first], size)
    _add_tiny(report, parts, size)
    _add_repeated(report, parts)
    _add_sheet(report, parts[first], first)


def _counted(table: BoxTable) -> np.ndarray:
    return ~table.ignored


def _add_counts(report: DataReport, flat: Mapping[str, BoxTable]) -> None:
    rows = []
    for part, table in flat.items():
        counts = np.diff(table.offsets)
        ignored = int(table.ignored.sum())
        mean = round(float(counts.mean()), 1) if len(counts) else None
        most = int(counts.max()) if len(counts) else None
        without = int((counts == 0).sum())
        rows.append([part, len(counts), without, len(table.classes), ignored, mean, most])
    columns = ["part", "images", "without boxes", "boxes", "of them ignored", "per image", "most"]
    report.add_table("Boxes", columns, rows)


def _by_class(
    flat: Mapping[str, BoxTable], names: tuple[str, ...], count: Callable[[BoxTable], np.ndarray]
) -> dict[str, dict[str, int]]:
    """Returns a number for each class, by part."""
    counts = {part: np.bincount(count(table), minlength=len(names)) for part, table in flat.items()}
    return {part: dict(zip(names, own.tolist(), strict=True)) for part, own in counts.items()}


def _boxes(table: BoxTable) -> np.ndarray:
    """Returns the class of each box that counts."""
    return table.classes[_counted(table)]


def _images(table: BoxTable) -> np.ndarray:
    """Returns the classes of each image, each once."""
    rows = np.repeat(np.arange(len(table.offsets) - 1), np.diff(table.offsets))
    pairs = np.stack([rows, table.classes], axis=1)[_counted(table)]
    return np.unique(pairs, axis=0)[:, 1]


def _sides(table: BoxTable) -> np.ndarray:
    """Returns the width and height of each box that counts."""
    return (table.boxes[:, 2:] - table.boxes[:, :2])[_counted(table)]


def _add_sizes(report: DataReport, flat: Mapping[str, BoxTable]) -> None:
    rows = []
    for part, table in flat.items():
        areas = _sides(table).prod(axis=1)
        groups = np.bincount(np.digitize(areas, [SMALL, LARGE]), minlength=3).tolist()
        shares = [f"{count / max(len(areas), 1):.1%}" for count in groups]
        rows.append([part, *groups, *shares])
    columns = ["part", "small", "medium", "large", "% small", "% medium", "% large"]
    report.add_table("Box sizes (limits: 32 x 32 and 96 x 96 pixels)", columns, rows)


def _add_shapes(report: DataReport, parts: Mapping[str, BoxExamples]) -> None:
    """Adds the distribution of sizes relative to the images, and of the aspect ratios."""
    relative, ratios = [], []
    for part, examples in parts.items():
        table = examples.flat()
        sides = _sides(table)
        if not len(sides):
            continue
        areas = sides.prod(axis=1) / _image_sizes(examples, table).prod(axis=1)
        relative.append([part, *_quantiles(np.sqrt(areas))])
        ratios.append([part, *_quantiles(sides[:, 1] / sides[:, 0])])
    columns = ["part", "smallest", "5%", "median", "95%", "largest"]
    title = "Relative box sizes (square root of the fraction of the image's area)"
    report.add_table(title, columns, relative)
    report.add_table("Aspect ratios (height / width)", columns, ratios)


def _image_sizes(examples: BoxExamples, table: BoxTable) -> np.ndarray:
    """Returns the width and height of the image of each box that counts."""
    sizes = np.array([examples.size(k) for k in range(len(examples))]).reshape(-1, 2)[:, ::-1]
    return np.repeat(sizes, np.diff(table.offsets), axis=0)[_counted(table)]


def _quantiles(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(values, [0, 0.05, 0.5, 0.95, 1])]


def _stretched(examples: BoxExamples, size: int) -> np.ndarray:
    """Returns the width and height of the boxes that count, in the network's image."""
    table = examples.flat()
    return _sides(table) * size / _image_sizes(examples, table)


def _add_anchors(report: DataReport, examples: BoxExamples, size: int) -> None:
    """Adds sizes and aspect ratios of anchors that fit the boxes of the training part."""
    sides = _stretched(examples, size)
    if len(sides) < _LEAST_BOXES:
        return
    from dlrecipes.data.anchor_shapes import suggest_anchors

    shapes = suggest_anchors(sides)
    texts = [", ".join(f"{value:.3g}" for value in own) for own in shapes[:2]]
    row = [*texts, round(float(shapes.mean_iou), 3)]
    title = f"Suggested anchors for images of {size} x {size} pixels: --anchors auto takes them"
    report.add_table(title, ["sizes", "ratios (height / width)", "mean IoU"], [row])


def _add_tiny(report: DataReport, parts: Mapping[str, BoxExamples], size: int) -> None:
    sides = np.concatenate([_stretched(examples, size) for examples in parts.values()])
    count = int((sides.min(axis=1, initial=np.inf) < LEAST_SIDE).sum())
    if count:
        message = (
            f"Boxes with a side below {LEAST_SIDE} pixels when the image has {size} x {size}: "
            f"{count:,} of {len(sides):,}. A larger --size shows them better."
        )
        report.warnings.append(Finding(message))


def _add_repeated(report: DataReport, parts: Mapping[str, BoxExamples]) -> None:
    """Warns of boxes that their image has twice, with the same class."""
    places = []
    for examples in parts.values():
        table = examples.flat()
        rows = np.repeat(np.arange(len(examples)), np.diff(table.offsets))
        whole = np.column_stack([rows, table.classes, table.boxes])
        _, first, counts = np.unique(whole, axis=0, return_index=True, return_counts=True)
        for box in np.sort(first[counts > 1]).tolist():
            name = examples.names[table.classes[box]]
            places.append(f"{examples.sources(int(rows[box]))}: {name}")
    if places:
        message = f"Boxes that occur twice on the same image: {len(places):,}. Delete one of each."
        report.warnings.append(Finding(message, places))


def _add_sheet(report: DataReport, examples: BoxExamples, part: str) -> None:
    """Adds a figure with examples on which the boxes are drawn."""
    from PIL import Image

    from dlrecipes.figures import box_colours, draw_boxes, example_images

    colours = box_colours(examples.names)
    sheet: list[np.ndarray] = []
    for k in _chosen(examples):
        try:
            image = Image.fromarray(examples.image(k))
        except DataError:
            # The report names the image.
            continue
        scale = SHEET_SIDE / max(image.size)
        width, height = (max(1, round(scale * side)) for side in image.size)
        image = image.resize((width, height))
        labels = [examples.names[label] for label in examples.classes(k)]
        for dashed in (False, True):
            own = np.flatnonzero(examples.ignored(k) == dashed)
            boxes, named = scale * examples.boxes(k)[own], [labels[box] for box in own]
            image = draw_boxes(image, boxes, named, colours=colours, dashed=dashed)
        sheet.append(np.asarray(image))
    sheet = sheet[: SHEET_ROWS * SHEET_COLUMNS]
    if sheet:
        starts = range(0, len(sheet), SHEET_COLUMNS)
        rows = [("", sheet[start : start + SHEET_COLUMNS]) for start in starts]
        title = "Examples" if part == WHOLE else f"Examples of the {part} part"
        report.figures["examples"] = example_images(rows, title, side=SHEET_SIDE)


def _chosen(examples: BoxExamples) -> list[int]:
    """Returns images with boxes: some for each class, then others, evenly spread."""
    shown = [set(examples.classes(k).tolist()) for k in range(len(examples))]
    filled = [k for k, own in enumerate(shown) if own]
    most = min(SHEET_ROWS * SHEET_COLUMNS, len(filled))
    counts = Counter(label for own in shown for label in own)
    covered: set[int] = set()
    chosen: list[int] = []
    for label in sorted(counts, key=lambda label: counts[label]):
        if label not in covered and len(chosen) < most:
            chosen.append(next(k for k in filled if label in shown[k]))
            covered |= shown[chosen[-1]]
    others = [k for k in filled if k not in set(chosen)]
    spread = np.linspace(0, len(others) - 1, most - len(chosen)).astype(int)
    return sorted([*chosen, *(others[place] for place in spread)])
