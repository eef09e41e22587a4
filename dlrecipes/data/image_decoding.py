"""Decoding of image files to grey or colour of 8 bits with Pillow, without TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from dlrecipes._utils.notes import print_note
from dlrecipes._utils.quiet import suppress_warnings
from dlrecipes.errors import DataError, reason

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# An image with more pixels is a mistake or an attack.
LARGEST = 100_000_000
HEIF_SUFFIXES = (".heic", ".heif")
READS_HEIF = importlib.util.find_spec("pillow_heif") is not None
# Suffixes of the files that are read, in lower case.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".pbm", ".pgm", ".ppm", ".pnm"),
    *(".tif", ".tiff", ".webp", ".avif"),
    *(HEIF_SUFFIXES if READS_HEIF else ()),
)
# Pillow's other readers are not used: some run other programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF")
# Numbers of bits that integers of 16 or 32 bits may really use.
BITS = (8, 10, 12, 14, 16, 24, 32)
# Floats above 1, up to rounding, are on a scale of integers; below this such an image is black.
FLOAT_WHITE, LEAST_INTEGER = 1.001, 16
# The upper 8 of 16 bits of colour do not exceed this number if the colours use 14 bits or fewer.
FAINTEST = 63
INSTALL_HEIF = "pip install pillow-heif"
# Tags of TIFF files and some of their values.
_ORIENTATION_TAG, _PHOTOMETRIC_TAG, _SAMPLE_FORMAT_TAG, _BITS_TAG = 274, 262, 339, 258
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2
# Factors that bring grey of 2 or 4 bits to 8, by Pillow's raw modes.
_SCALES = {"L;2": 85, "L;4": 17}
# Formats that are recognized but not read, by their first bytes.
_OTHER_FORMATS = {
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\0\0\0\x0cjP": "a JPEG 2000 image",
    b"8BPS": "a Photoshop image",
    b"\x76\x2f\x31\x01": "an OpenEXR image",
    b"\0\0\x01\0": "an icon",
    b"%PDF": "a PDF document",
    b"II*\0": "a TIFF image of an unsupported kind",
    b"MM\0*": "a TIFF image of an unsupported kind",
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class OversizedImageError(DataError):
    """An image with too many pixels to be decoded."""


def decode_image(file: str | Path | BinaryIO, name: str | Path, least: int = 0) -> Image.Image:
    """Returns the image in a file, upright, of mode `"L"` or `"RGB"`.

    EXIF orientation is applied, and transparent areas become white. Only the first frame or page is
    read. More than 8 bits are reduced as `scale_to_uint8` does; colours keep their upper 8 bits.

    Args:
        file: Path, or file opened for reading bytes.
        name: Name of the file for messages.
        least: Number of pixels that the shorter side needs. A large JPEG file is decoded at a half,
            a quarter or an eighth of its size if enough pixels remain, which is faster. Defaults
            to 0: decode at full size.

    Raises:
        DataError: If the file is not an image, is truncated or damaged, has more than 100 million
            pixels, or has values outside of every range.

    Example:

    >>> import io
    >>> from PIL import Image
    >>> from dlrecipes.data.image_decoding import decode_image
    >>> file = io.BytesIO()
    >>> Image.new("CMYK", (300, 200)).save(file, "JPEG")
    >>> image = decode_image(file, "photo.jpg")
    >>> image.mode, image.size, decode_image(file, "photo.jpg", least=50).size
    ('RGB', (300, 200), (75, 50))
    """
    with open_image(file, name) as image:
        if least:
            image.draft(None, (least, least))
        return _decode(image, str(name))


@contextlib.contextmanager
def open_image(file: str | Path | BinaryIO, name: str | Path) -> Iterator[ImageFile.ImageFile]:
    """Provides the image in a file, of which only the header is read.

    Args:
        file: Path, or file opened for reading bytes.
        name: Name of the file for messages.

    Raises:
        DataError: If the file is not an image or has more than 100 million pixels, or if reading
            its pixels inside the `with` block fails.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Pillow warns about large images, which are rejected here.
        with suppress_warnings(), Image.open(file, formats=_formats()) as image:
            if image.width * image.height > LARGEST:
                raise OversizedImageError(
                    f"{name}: {image.width} x {image.height} pixels are too many; at most "
                    f"{LARGEST:,} are read."
                )
            yield image
    except UnidentifiedImageError:
        raise _not_an_image(file, name) from None
    except Image.DecompressionBombError:
        raise OversizedImageError(
            f"{name}: the image has too many pixels; at most {LARGEST:,} are read."
        ) from None
    except (DataError, FileNotFoundError):
        raise
    except Exception as error:
        # Pillow's readers raise exceptions of any kind on damaged files.
        raise DataError(
            f"{name}: the image cannot be read: {reason(error).rstrip('.')}.", "Copy it again."
        ) from None


def scale_to_uint8(values: np.ndarray, name: str | Path, bits: int | None = None) -> np.ndarray:
    """Returns grey values of any type on a scale from 0 to 255.

    - Floats from 0 to 1 are multiplied by 255; larger ones are treated as integers.
    - For integers, white is the largest number of 8, 10, 12, 14, 16, 24 or 32 bits: the fewest
      bits that hold the maximum. The upper 8 of them are kept. If the type has more bits, a note
      says how many were used.

    Args:
        values: Array of any shape; uint8 is returned as it is.
        name: Name of the data for messages.
        bits: Number of bits, if it is known. Defaults to `None`.

    Returns:
        uint8 array of the same shape.

    Raises:
        DataError: If a value is negative, NaN or infinite, or the range of floats is unclear.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_decoding import scale_to_uint8
    >>> scale_to_uint8(np.array([0, 2048, 4095], "uint16"), "scan").tolist()
    [0, 128, 255]
    >>> scale_to_uint8(np.array([0.0, 0.5, 1.0]), "scan").tolist()
    [0, 128, 255]
    """
    values = np.asarray(values)
    if values.dtype == bool:
        return values.astype("uint8") * 255
    if values.dtype == np.uint8 or not values.size:
        return values.astype("uint8")
    smallest, largest = values.min(), values.max()
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        raise DataError(f"{name}: the image contains NaN or infinity.", "Replace these values.")
    if smallest < 0:
        raise DataError(
            f"{name}: the image contains negative values, from {smallest:g} to {largest + 0.0:g}.",
            "Shift and scale them to 0..255 (8 bits) or 0..65535 (16 bits).",
        )
    if values.dtype.kind == "f":
        if largest <= FLOAT_WHITE:
            return (255 * values.clip(0, 1)).round().astype("uint8")
        if largest < LEAST_INTEGER:
            raise DataError(
                f"{name}: the floats reach {largest:g}; it is unclear which is white.",
                "Scale them to 0..1.",
            )
    bits = bits or _used_bits(values, largest, name)
    return (values.astype("int64") >> max(bits - 8, 0)).astype("uint8")


def _used_bits(values: np.ndarray, largest: float, name: str | Path) -> int:
    """Returns the fewest bits that hold the largest value; notes it if the type has more."""
    size = 8 * values.dtype.itemsize
    # A signed type has a bit fewer for positive numbers.
    whole = size - (values.dtype.kind == "i")
    used = next((bits for bits in sorted({*BITS, whole}) if largest < 2**bits), None)
    if used is None or used > BITS[-1]:
        raise DataError(f"{name}: the values reach {largest:g}; at most 32 bits are read.")
    if used not in (size, whole):
        kind = "floats" if values.dtype.kind == "f" else "values"
        print_note(
            f"{name}: the {size}-bit {kind} reach {largest:,.0f} and are read as {used} bits "
            f"(white is {2**used - 1:,}), as in all files like it.",
            once=("bits", values.dtype.str, used),
        )
    return used


def _decode(image: ImageFile.ImageFile, name: str) -> Image.Image:
    from PIL import Image

    frames = _frames(image)
    if frames > 1:
        print_note(
            f"{name}: the first of {frames:,} frames or pages is read, as in all such files.",
            once="frames",
        )
    orientation, coding = orientation_of(image), _coding(image)
    image.load()
    if image.mode in ("1", "L") or image.mode[0] in "IF":
        decoded = Image.fromarray(_grey(image, coding, name))
    else:
        decoded = _colour(image, coding, name)
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return decoded.transpose(methods[orientation]) if orientation in methods else decoded


def _frames(image: ImageFile.ImageFile) -> int:
    """Returns the number of frames or pages; a damaged one does not count."""
    if image.format == "MPO":
        # A photograph with its preview or its depth map.
        return 1
    try:
        return getattr(image, "n_frames", 1)
    except Exception:
        # Pillow looks for all frames to count them.
        image.seek(0)
        return 1


def orientation_of(image: ImageFile.ImageFile) -> int:
    """Returns the EXIF orientation that precedes the pixels; 1 if it is missing or damaged."""
    from PIL import Image

    if image.format == "TIFF" or "exif" not in image.info:
        # Pillow applies the orientation of TIFF files itself.
        return 1
    try:
        exif = Image.Exif()
        exif.load(image.info["exif"])
        value = exif.get(_ORIENTATION_TAG)
    except Exception:
        # Damaged EXIF data raise errors of any kind; the image itself may be whole.
        return 1
    return value if isinstance(value, int) else 1


class _Coding(NamedTuple):
    """How a file stores its pixels.

    Args:
        raw_mode: Pillow's name of the layout of the pixels, such as `"RGB;16B"`; may be empty.
        bits: Number of bits that white has according to the file, `None` if it does not say.
        is_deep: Whether colours have 16 bits, of which Pillow keeps the upper 8.
    """

    raw_mode: str
    bits: int | None
    is_deep: bool


def _coding(image: ImageFile.ImageFile) -> _Coding:
    # Once the pixels are loaded, Pillow forgets how they were stored.
    if not image.tile:
        return _Coding("", None, False)
    decoder, _, _, arguments = image.tile[0]
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    raw_mode = str(arguments[0])
    if image.format == "PPM" and decoder.startswith("ppm"):
        # Pillow brings these values to 16 bits of grey or 8 of colour. White may be any number.
        white = arguments[-1]
        return _Coding(raw_mode, None if white == 65_535 else 16, white == 65_535)
    is_deep = re.fullmatch(r"\w+;16[LBN]", raw_mode) is not None
    return _Coding(raw_mode, 12 if raw_mode == "I;12" else None, is_deep)


def _grey(image: Image.Image, coding: _Coding, name: str) -> np.ndarray:
    """Returns the pixels of a grey image of any type, where a transparent value is white."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    # Pillow does not distinguish these types.
    stored = (tags.get(_SAMPLE_FORMAT_TAG, (0,))[0], tags.get(_BITS_TAG, (0,))[0])
    if image.mode == "I" and stored == (_UNSIGNED, 32):
        values = values.view("uint32")
    elif image.mode in ("L", "I") and stored in ((_SIGNED, 8), (_SIGNED, 16)):
        values = values.astype(f"int{stored[1]}")
    grey = scale_to_uint8(values, name, coding.bits)
    if image.mode[0] in "IF" and tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO:
        # Pillow inverts only images of up to 8 bits.
        grey = 255 - grey
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        # The transparent value of a PNG file with 2 or 4 bits is not scaled to 8.
        clear = bool(clear) if image.mode == "1" else clear * _SCALES.get(coding.raw_mode, 1)
        grey = np.where(values == clear, np.uint8(255), grey)
    return grey


def _colour(image: Image.Image, coding: _Coding, name: str) -> Image.Image:
    """Returns an image of another kind in colour, where transparent pixels are white."""
    from PIL import Image

    if coding.is_deep and image.mode != "CMYK":
        colours = np.asarray(image)[..., : 1 if image.mode[0] == "L" else 3]
        if colours.max() <= FAINTEST:
            raise DataError(
                f"{name}: the 16-bit colours use at most 14 bits; only the upper 8 of 16 are read.",
                "Save the image with 8 bits per channel.",
            )
        if "transparency" in image.info:
            raise DataError(
                f"{name}: 16-bit colours with a transparent colour are not read.",
                "Save the image with 8 bits per channel.",
            )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


@functools.cache
def _formats() -> tuple[str, ...]:
    if not READS_HEIF:
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _not_an_image(file: str | Path | BinaryIO, name: str | Path) -> DataError:
    if isinstance(file, str | Path):
        with Path(file).open("rb") as opened:
            head = opened.read(132)
    else:
        file.seek(0)
        head = file.read(132)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return DataError(
            f"{name}: HEIC images are not read.", f"Type {INSTALL_HEIF}, or convert it to JPEG."
        )
    kinds = [kind for start, kind in _OTHER_FORMATS.items() if head.startswith(start)]
    kind = "a DICOM image" if head[128:] == b"DICM" else next(iter(kinds), "")
    if kind:
        return DataError(f"{name}: this is {kind}, which is not read.", "Convert it to PNG.")
    if not head:
        return DataError(
            f"{name}: this is not an image: the file is empty.", "Copy it again, or remove it."
        )
    return DataError(f"{name}: this is not an image.", f"Supported formats: {', '.join(SUFFIXES)}.")
