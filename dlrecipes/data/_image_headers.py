"""Headers of image files, read inside the graph: format, size, orientation, reasons to refuse.

`tf.io.decode_image` ignores EXIF orientation, palettes of BMP files and transparent colours, and
animated WebP files make it write outside its memory. The header shows all of these in advance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dlrecipes.data.image_decoding import LARGEST

# The formats in the order of `Header.kind`; 0 is any other.
FORMATS = "PNG, JPEG, GIF, BMP or WebP"
# Maximum number of segments that are followed; a file with more is a mistake or an attack.
SEGMENTS = 1000
_ORIENTATION_TAG, _EXIF_ENTRY, _EXIF_ENTRIES = 0x0112, 12, 200
# Masks of red, green and blue in a BMP file with 32 bits per pixel that begins with blue.
_BMP_MASKS = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"
# The place of what a file lacks.
_NOWHERE = np.int64(-1)


class Header(NamedTuple):
    """Facts in the header of an image file, scalar tensors.

    Args:
        kind: 1 + the index of the format in `FORMATS`, or 0, int32.
        orientation: EXIF orientation, 1 to 8; 1 if the file does not give it. int64.
        has_alpha: Whether pixels may be transparent, although TensorFlow ignores it: one colour
            of a grey or RGB PNG file, or the fourth channel of a BMP file.
        problem: Reason why the file is not decoded, or an empty string.
    """

    kind: tf.Tensor
    orientation: tf.Tensor
    has_alpha: tf.Tensor
    problem: tf.Tensor


class File(NamedTuple):
    """Contents of a file, of which any place can be read: what follows its end is 0.

    Args:
        padded: Contents and zeros, scalar string.
        size: Number of bytes in the file, int64.
    """

    padded: tf.Tensor
    size: tf.Tensor

    @classmethod
    def of(cls, contents: tf.Tensor) -> File:
        """Returns the file with the given contents, a scalar string."""
        size = tf.cast(tf.strings.length(contents), tf.int64)
        return cls(tf.strings.join([contents, bytes(_EXIF_ENTRY * _EXIF_ENTRIES)]), size)

    def text(self, at: tf.Tensor | int, count: int) -> tf.Tensor:
        """Returns `count` bytes from a place as a string; a place before the file is its start."""
        at = tf.clip_by_value(tf.cast(at, tf.int64), 0, self.size)
        return tf.strings.substr(self.padded, at, tf.constant(count, tf.int64))

    def values(self, at: tf.Tensor | int, count: int) -> tf.Tensor:
        """Returns `count` bytes from a place, int64 of shape `(count,)`."""
        values = tf.io.decode_raw(self.text(at, count), tf.uint8)
        return tf.cast(tf.ensure_shape(values, [count]), tf.int64)

    def number(
        self, at: tf.Tensor | int, count: int, little: tf.Tensor | bool = False
    ) -> tf.Tensor:
        """Returns the unsigned number in `count` bytes from a place, int64."""
        return unsigned(self.values(at, count), little)


def unsigned(data: tf.Tensor, little: tf.Tensor | bool) -> tf.Tensor:
    """Returns the unsigned numbers whose bytes are the last axis: big-endian, or `little`."""
    if data.shape[-1] == 1:
        return data[..., 0]
    powers = [256**place for place in range(data.shape[-1] or 0)]
    rising, falling = np.array(powers, "int64"), np.array(powers[::-1], "int64")
    weights = (
        (rising if little else falling)
        if isinstance(little, bool)
        else tf.where(little, rising, falling)
    )
    return tf.reduce_sum(data * weights, axis=-1)


class _Facts(NamedTuple):
    """Facts that every format has; `exif` is the place of the EXIF data, or -1."""

    height: tf.Tensor | int = 1
    width: tf.Tensor | int = 1
    exif: tf.Tensor | int = -1
    has_alpha: tf.Tensor | bool = False
    problem: tf.Tensor | str = ""


# AutoGraph has nothing to convert here, and its search takes longer than tracing.
@tf.autograph.experimental.do_not_convert
def read_header(file: File) -> Header:
    """Returns the facts in an image file's header; works inside a `tf.function`."""

    def with_types(read: Callable[[File], _Facts]) -> tuple[tf.Tensor, ...]:
        types = (tf.int64, tf.int64, tf.int64, tf.bool, tf.string)
        return tuple(
            tf.cast(fact, dtype) if dtype.is_integer else tf.convert_to_tensor(fact)
            for fact, dtype in zip(read(file), types, strict=True)
        )

    kind = _kind(file)
    readers = (_unknown, _png, _jpeg, _gif, _bmp, _webp)
    facts = _Facts(*tf.switch_case(kind, [lambda read=read: with_types(read) for read in readers]))
    pixels = facts.height * facts.width
    problem = _first(
        (pixels > LARGEST, f"it has more than {LARGEST:,} pixels"),
        (facts.problem != "", facts.problem),
        (pixels < 1, "it has no pixels, or is cut off"),
    )
    return Header(kind, _orientation(file, facts.exif), facts.has_alpha, problem)


def _is(file: File, at: tf.Tensor | int, text: bytes) -> tf.Tensor:
    return file.text(at, len(text)) == text


def _any_of(value: tf.Tensor, *values: int) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(values, tf.int64))


def _first(*reasons: tuple[tf.Tensor, tf.Tensor | str]) -> tf.Tensor:
    """Returns the reason whose condition is the first that is met, or an empty string."""
    reason = tf.constant("")
    for is_met, text in reversed(reasons):
        reason = tf.where(is_met, text, reason)
    return reason


def _walk(start, step: Callable, *state) -> tuple[tuple[tf.Tensor, str], tuple[tf.Tensor, ...]]:
    """Follows segments; returns the reason to refuse a file with too many, and the last state.

    `step(at, *state)` returns the place of the next segment, or -1 to stop, and the next state.
    """
    at, *state = tf.while_loop(
        lambda at, *_: at >= 0,
        step,
        (tf.cast(start, tf.int64), *state),
        maximum_iterations=SEGMENTS,
    )
    return (at >= 0, f"it has more than {SEGMENTS:,} segments"), state


def _kind(file: File) -> tf.Tensor:
    signs = [
        _is(file, 0, b"\x89PNG\r\n\x1a\n") & _is(file, 12, b"IHDR"),
        _is(file, 0, b"\xff\xd8\xff"),
        _is(file, 0, b"GIF8"),
        _is(file, 0, b"BM"),
        _is(file, 0, b"RIFF") & _is(file, 8, b"WEBP"),
    ]
    return tf.reduce_max(tf.where(tf.stack(signs), tf.range(1, len(signs) + 1), 0))


def _unknown(file: File) -> _Facts:
    return _Facts(problem=f"it is not a {FORMATS} file")


def _png(file: File) -> _Facts:
    def step(at, exif, has_clear_colour):
        exif = tf.where(_is(file, at + 4, b"eXIf"), at + 8, exif)
        has_clear_colour |= _is(file, at + 4, b"tRNS")
        is_last = _is(file, at + 4, b"IDAT") | (at >= file.size)
        return tf.where(is_last, _NOWHERE, at + 12 + file.number(at, 4)), exif, has_clear_colour

    too_many, (exif, has_clear_colour) = _walk(8, step, _NOWHERE, tf.constant(False))
    is_palette = file.number(25, 1) == 3
    return _Facts(
        file.number(20, 4),
        file.number(16, 4),
        exif,
        has_clear_colour & ~is_palette,
        _first(too_many),
    )


def _jpeg(file: File) -> _Facts:
    def step(at, exif, frame, is_adobe):
        marker = file.number(at + 1, 1)
        exif = tf.where(
            (exif < 0) & (marker == 0xE1) & _is(file, at + 4, b"Exif\0\0"), at + 4, exif
        )
        is_adobe |= (marker == 0xEE) & _is(file, at + 4, b"Adobe")
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & ~_any_of(marker, 0xC4, 0xC8, 0xCC)
        frame = tf.where(is_frame, at + 4, frame)
        has_no_length = _any_of(marker, 0x01, *range(0xD0, 0xD9))
        length = tf.where(~has_no_length, file.number(at + 2, 2), 0)
        # Any number of bytes 0xFF may precede a marker.
        after = at + tf.where(marker != 0xFF, 2 + length, 1)
        is_last = _any_of(marker, 0xD9, 0xDA) | (file.number(at, 1) != 0xFF)
        return tf.where(is_last, _NOWHERE, after), exif, frame, is_adobe

    too_many, (exif, frame, is_adobe) = _walk(2, step, _NOWHERE, _NOWHERE, tf.constant(False))
    is_cmyk = (frame >= 0) & (file.number(frame + 5, 1) == 4)
    return _Facts(
        tf.where(frame >= 0, file.number(frame + 1, 2), 0),
        file.number(frame + 3, 2),
        exif,
        problem=_first(
            too_many,
            # Readers do not agree on which of 0 and 255 means ink.
            (is_cmyk & ~is_adobe, "it is a CMYK JPEG file without an Adobe marker"),
        ),
    )


def _gif(file: File) -> _Facts:
    def step(at, inside, has_clear_colour, frame):
        """Takes an extension's head, or one of its blocks, whose first byte is their length."""
        first, label = file.number(at, 1), file.number(at + 1, 1)
        is_extension = ~inside & (first == 0x21)
        is_control = is_extension & (label == 0xF9)
        is_clear = file.number(at + 3, 1) % 2 == 1
        has_clear_colour = tf.where(is_control, is_clear, has_clear_colour)
        is_last = ~inside & ~is_extension
        frame = tf.where(is_last & (first == 0x2C), at, frame)
        after = at + tf.where(~is_extension, first + 1, 2)
        inside = is_extension | (inside & (first > 0))
        is_last |= at >= file.size
        return tf.where(is_last, _NOWHERE, after), inside, has_clear_colour, frame

    packed = file.number(10, 1)
    colours = tf.where(packed >= 128, 2 ** (packed % 8 + 1), 0)
    no = tf.constant(False)
    too_many, (_, has_clear_colour, frame) = _walk(13 + 3 * colours, step, no, no, _NOWHERE)
    is_whole = _is(file, frame + 1, bytes(4)) & (file.text(frame + 5, 4) == file.text(6, 4))
    return _Facts(
        file.number(8, 2, little=True),
        file.number(6, 2, little=True),
        problem=_first(
            too_many,
            (has_clear_colour, "it is a GIF file with a transparent colour"),
            ((frame >= 0) & ~is_whole, "its first frame does not fill the image"),
        ),
    )


def _bmp(file: File) -> _Facts:
    size = file.number(14, 4, little=True)
    height = file.number(22, 4, little=True)
    # Rows run downwards in a file with a negative height.
    height = tf.where(height >= 2**31, 2**32 - height, height)
    bits = file.number(28, 2, little=True)
    compression = file.number(30, 4, little=True)
    colours = file.number(46, 4, little=True)
    alpha_mask = tf.where(size >= 56, file.number(66, 4, little=True), 0)
    is_standard = _is(file, 54, _BMP_MASKS) & _any_of(alpha_mask, 0, 0xFF000000)
    table = tf.where(colours != 0, colours, 256)
    has_palette = (
        (bits == 8)
        & (table > 2)
        & (table <= 256)
        & (file.number(10, 4, little=True) >= 14 + size + 4 * table)
    )
    is_plain = (compression == 0) & (_any_of(bits, 24, 32) | has_palette)
    has_fields = (compression == 3) & (bits == 32) & is_standard
    return _Facts(
        height,
        file.number(18, 4, little=True),
        has_alpha=has_fields & (alpha_mask > 0),
        problem=_first(
            (~_any_of(size, 40, 52, 56, 108, 124), "its BMP header is not supported"),
            (
                ~(is_plain | has_fields),
                "it is a BMP file that is compressed, or has not 8, 24 or 32 bits per pixel",
            ),
        ),
    )


def _webp(file: File) -> _Facts:
    def step(at, exif):
        exif = tf.where((exif < 0) & _is(file, at, b"EXIF"), at + 8, exif)
        length = file.number(at + 4, 4, little=True)
        is_last = at >= file.size
        return tf.where(is_last, _NOWHERE, at + 8 + length + length % 2), exif

    too_many, (exif,) = _walk(12, step, _NOWHERE)
    is_extended, is_lossless = _is(file, 12, b"VP8X"), _is(file, 12, b"VP8L")
    sides = file.number(21, 4, little=True)

    def side(lossy: int, lossless: tf.Tensor, extended: int) -> tf.Tensor:
        plain = file.number(lossy, 2, little=True) % 2**14
        other = 1 + tf.where(is_extended, file.number(extended, 3, little=True), lossless % 2**14)
        return tf.where(is_extended | is_lossless, other, plain)

    return _Facts(
        side(28, sides // 2**14, 27),
        side(26, sides, 24),
        tf.where(is_extended, exif, _NOWHERE),
        problem=_first(
            too_many,
            (is_extended & (file.number(20, 1) // 2 % 2 == 1), "it is an animated WebP file"),
        ),
    )


def _orientation(file: File, exif: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    start = exif + tf.where(_is(file, exif, b"Exif\0\0"), tf.constant(6, tf.int64), 0)
    little = _is(file, start, b"II*\0")
    directory = start + file.number(start + 4, 4, little)
    count = tf.minimum(file.number(directory, 2, little), _EXIF_ENTRIES)
    entries = file.values(directory + 2, _EXIF_ENTRY * _EXIF_ENTRIES)
    entries = tf.reshape(entries, [_EXIF_ENTRIES, _EXIF_ENTRY])
    is_counted = tf.range(_EXIF_ENTRIES, dtype=tf.int64) < count
    is_tag = is_counted & (unsigned(entries[:, :2], little) == _ORIENTATION_TAG)
    is_short = unsigned(entries[:, 2:4], little) == 3
    # More values than fit into the entry lie elsewhere, and no camera writes them.
    values_count = unsigned(entries[:, 4:8], little)
    is_tag &= (values_count >= 1) & (
        values_count <= tf.where(is_short, tf.constant(2, tf.int64), 1)
    )
    values = tf.where(
        is_short, unsigned(entries[:, 8:10], little), unsigned(entries[:, 8:12], little)
    )
    # Entries with another value count as 0. If there are several, the largest is used.
    value = tf.reduce_max(tf.where(is_tag & (values <= 8), values, 0))
    is_exif = (exif >= 0) & (little | _is(file, start, b"MM\0*"))
    return tf.where(is_exif & (value > 0), value, 1)
