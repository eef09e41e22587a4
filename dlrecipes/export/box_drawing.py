"""Boxes, names and scores drawn on images inside the graph, as `dlrecipes.figures` draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import ImageColor

from dlrecipes.figures._boxes import (
    _LEAST_LETTERS,
    _LEAST_LINE,
    _LETTERS,
    _LINE,
    _contrast,
    box_colours,
)
from dlrecipes.figures._pillow_text import text_image

# Size of the letters in the graph, in pixels; an image's own size is interpolated.
LETTERS = 32
# Names are cut there, with an ellipsis, before the graph is made.
LONGEST = 40 * LETTERS


class _Texts(NamedTuple):
    """Texts as opacity, from 0 to 255.

    Args:
        masks: uint8 of shape `(texts, height, widest)`.
        widths: Width of each text, int32.
    """

    masks: tf.Tensor
    widths: tf.Tensor

    def __getitem__(self, number: tf.Tensor) -> tf.Tensor:
        return self.masks[number, :, : self.widths[number]]


class BoxPainter:
    """Draws boxes with the names of their classes and their scores, in TensorFlow's graph.

    The graph has no operation that writes text. So names, the 101 scores of two decimals and an
    ellipsis are drawn by Pillow when the object is made, in fonts that have their letters, and the
    graph holds their pixels. Colours, lines and places of labels are those of
    `dlrecipes.figures.draw_boxes`.

    Args:
        names: Names of the classes.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.export.box_drawing import BoxPainter
    >>> paint = BoxPainter(["cat"])
    >>> boxes = tf.constant([[20.0, 40.0, 120.0, 200.0]])
    >>> image = paint(tf.zeros([240, 320, 3], tf.uint8), boxes, tf.constant([0]), [0.9])
    >>> image.shape.as_list(), bool(tf.reduce_any(image > 0))
    ([240, 320, 3], True)
    """

    def __init__(self, names: Sequence[str]):
        colours = [box_colours(names)[name] for name in names]
        inks = [_contrast(colour) for colour in colours]
        self._colours = np.array([ImageColor.getrgb(colour) for colour in colours], "uint8")
        self._inks = np.array([ImageColor.getrgb(ink) for ink in inks], "uint8")
        self._names = [_mask(name) for name in names]
        self._scores = [_mask("", f"{' ' * bool(names)}{k / 100:.2f}") for k in range(101)]
        self._ellipsis = _mask("…")

    def __call__(
        self, image: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor, scores: tf.Tensor
    ) -> tf.Tensor:
        """Returns the image with the boxes.

        Args:
            image: uint8 of shape `(height, width, 3)`.
            boxes: Left, top, right and bottom in pixels, float32 of shape `(n, 4)`.
            classes: Classes, int32 of shape `(n,)`.
            scores: Scores from 0 to 1 in descending order, float32 of shape `(n,)`.
        """
        size = tf.shape(image)[:2]
        side = tf.sqrt(tf.cast(tf.reduce_prod(size), tf.float32))
        line = tf.maximum(_LEAST_LINE, _rounded(side * _LINE))
        letters = tf.maximum(_LEAST_LETTERS, _rounded(side * _LETTERS))
        places, is_inside = _inside(boxes, size)
        places = tf.boolean_mask(places, is_inside)
        classes = tf.boolean_mask(classes, is_inside)
        scores = tf.boolean_mask(tf.convert_to_tensor(scores), is_inside)
        image = self._with_outlines(image, places, classes, line)
        return self._with_labels(image, places, classes, scores, letters)

    def _with_outlines(
        self, image: tf.Tensor, places: tf.Tensor, classes: tf.Tensor, line: tf.Tensor
    ) -> tf.Tensor:
        """Draws each box in a dark frame; those with higher scores come last."""
        rim, size = tf.maximum(1, line // 3), tf.shape(image)[:2]
        count = tf.shape(places)[0]
        # Pixels by number: 0 stay as they are, 1 are dark, and the others have a class's colour.
        paints = tf.constant(np.concatenate([np.zeros((2, 3), "uint8"), self._colours]))

        def step(number: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            row = count - 1 - number
            pixels = tf.where(_frame(size, places[row], rim, line + rim), 1, pixels)
            return number + 1, tf.where(
                _frame(size, places[row], 0, line), classes[row] + 2, pixels
            )

        (pixels,) = _loop(count, step, tf.zeros(size, tf.int32))
        return tf.where(pixels[..., None] > 0, tf.gather(paints, pixels), image)

    def _with_labels(
        self,
        image: tf.Tensor,
        places: tf.Tensor,
        classes: tf.Tensor,
        scores: tf.Tensor,
        letters: tf.Tensor,
    ) -> tf.Tensor:
        size, pad = tf.shape(image)[:2], tf.maximum(2, letters // 6)
        factor = tf.cast(letters, tf.float32) / LETTERS
        height = _rounded(1.22 * tf.cast(letters, tf.float32))
        room = tf.cast(tf.cast(size[1] - 2 * pad, tf.float32) / factor, tf.int32)
        names, ends = _texts(self._names), _texts(self._scores)
        colours, inks = tf.constant(self._colours), tf.constant(self._inks)
        percents = tf.clip_by_value(_rounded(100 * scores), 0, 100)

        def step(number: tf.Tensor, image: tf.Tensor, taken: tf.Tensor) -> tuple:
            end, kind = ends[percents[number]], classes[number]
            text = tf.concat([_cut(names[kind], self._ellipsis, room - tf.shape(end)[1]), end], 1)
            width = _rounded(tf.cast(tf.shape(text)[1], tf.float32) * factor)
            place = _label_place(places[number], (width + 2 * pad, height), size, taken)

            def labelled() -> tf.Tensor:
                shape = tf.stack([height, width])
                opacity = tf.image.resize(text[..., None], shape, antialias=True) / 255
                opacity = tf.pad(opacity, [[0, 0], [pad, pad], [0, 0]])
                colour, ink = (tf.cast(x[kind], tf.float32) for x in (colours, inks))
                label = colour + opacity * (ink - colour)
                return _paste(image, tf.cast(tf.round(label), tf.uint8), place)

            fits = (tf.shape(end)[1] <= room) & (height <= size[0])
            image = tf.cond(fits, labelled, lambda: tf.identity(image))
            return number + 1, image, tf.concat([taken, place[None]], axis=0)

        taken = tf.zeros([0, 4], tf.int32)
        return _loop(tf.shape(places)[0], step, image, taken)[0]


def _mask(text: str, ending: str = "") -> np.ndarray:
    """Returns the opacity of a text, uint8 of shape `(height, width)`."""
    image = text_image(text, LETTERS, "black", LONGEST, ending)
    height = round(1.22 * LETTERS)
    return np.zeros((height, 0), "uint8") if image is None else np.asarray(image)[..., 3]


def _texts(masks: Sequence[np.ndarray]) -> _Texts:
    widest = max(mask.shape[1] for mask in masks)
    padded = [np.pad(mask, ((0, 0), (0, widest - mask.shape[1]))) for mask in masks]
    widths = [mask.shape[1] for mask in masks]
    return _Texts(tf.constant(np.stack(padded)), tf.constant(widths))


def _cut(name: tf.Tensor, ellipsis: np.ndarray, room: tf.Tensor) -> tf.Tensor:
    """Returns as much of a name as there is room for, with an ellipsis if it is not all."""
    left = room - ellipsis.shape[1]
    shortened = tf.concat([name[:, : tf.maximum(left, 0)], ellipsis], axis=1)
    shortened = tf.cond(left < 0, lambda: name[:, :0], lambda: shortened)
    return tf.cond(tf.shape(name)[1] <= room, lambda: name, lambda: shortened)


def _rounded(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(values), tf.int32)


def _inside(boxes: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first and last pixels of the boxes' parts in the image, and whether any are."""
    ends = tf.stack([size[1], size[0]])
    starts, stops = boxes[:, :2], boxes[:, 2:]
    seen = (stops > 0) & (starts < tf.cast(ends, tf.float32)) & (stops >= starts)
    first = tf.clip_by_value(_rounded(starts), 0, ends - 1)
    last = tf.maximum(tf.minimum(_rounded(stops), ends) - 1, first)
    return tf.concat([first, last], axis=-1), tf.reduce_all(seen, axis=-1)


def _frame(size: tf.Tensor, place: tf.Tensor, out: tf.Tensor, into: tf.Tensor) -> tf.Tensor:
    """Returns where the lines of a box are, bool of shape `(height, width)`."""
    return _rectangle(size, place + tf.stack([-out, -out, out, out])) & ~_rectangle(
        size, place + tf.stack([into, into, -into, -into])
    )


def _rectangle(size: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    rows, columns = tf.range(size[0])[:, None], tf.range(size[1])[None]
    down, across = (rows >= place[1]) & (rows <= place[3]), (columns >= place[0])
    return down & across & (columns <= place[2])


def _label_place(
    box: tf.Tensor, label: tuple[tf.Tensor, tf.Tensor], size: tf.Tensor, taken: tf.Tensor
) -> tf.Tensor:
    """Returns left, top, right and bottom of a label at its box, where it covers others least."""
    (width, height), (left, top, right, bottom) = label, tf.unstack(box)
    lefts = tf.repeat(tf.stack([left, right + 1 - width, right + 1, left - width]), 4)
    tops = tf.tile(tf.stack([top - height, top, bottom + 1, bottom + 1 - height]), [4])
    fits = (tops >= 0) & (tops <= size[0] - height)
    lefts = tf.clip_by_value(lefts, 0, tf.maximum(size[1] - width, 0))
    places = tf.stack([lefts, tops, lefts + width, tops + height], axis=-1)
    # A label does not hide a box that is hardly larger than itself.
    is_small = (right - left < width) | (bottom - top < 3 * height)
    own = tf.stack([left, top, right + 1, bottom + 1])[None]
    covers = tf.cond(is_small, lambda: tf.concat([taken, own], axis=0), lambda: taken)
    common = tf.minimum(places[:, None, 2:], covers[:, 2:])
    common -= tf.maximum(places[:, None, :2], covers[:, :2])
    covered = tf.reduce_sum(tf.reduce_prod(tf.maximum(common, 0), axis=-1), axis=-1)
    best = places[tf.argmin(tf.where(fits, covered, covered.dtype.max))]
    # A box lower than its label, in an image that hardly has room for one.
    x, y = tf.maximum(0, tf.minimum(left, size[1] - width)), tf.minimum(top, size[0] - height)
    return tf.where(tf.reduce_any(fits), best, tf.stack([x, y, x + width, y + height]))


def _paste(image: tf.Tensor, label: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Returns an image with a label, in a dark line, on it."""
    left, top, right, bottom = tf.unstack(place)
    size = tf.shape(label)[:2]
    edge = _frame(size, tf.stack([0, 0, size[1] - 1, size[0] - 1]), 0, 1)
    label = tf.where(edge[..., None], tf.constant(0, tf.uint8), label)
    rows = image[top:bottom]
    rows = tf.concat([rows[:, :left], label, rows[:, right:]], axis=1)
    return tf.concat([image[:top], rows, image[bottom:]], axis=0)


def _loop(count: tf.Tensor, step: Callable[..., tuple], *states: tf.Tensor) -> tuple:
    """Calls a step for each number below the count, and returns the states."""
    # The first state is an image, of which two sizes are unknown.
    shapes = [
        [None, None, *x.shape[2:]] if x is states[0] else [None, *x.shape[1:]] for x in states
    ]
    _, *final = tf.while_loop(
        lambda number, *_: number < count,
        step,
        (tf.constant(0), *states),
        shape_invariants=(tf.TensorShape([]), *map(tf.TensorShape, shapes)),
    )
    return tuple(final)
