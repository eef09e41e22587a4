"""Files of every kind: the graph decodes them as Pillow does for training, or refuses them."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.data.image_bytes import decode
from dlrecipes.data.image_decoding import decode_image
from dlrecipes.errors import DataError, reason

HEIGHT, WIDTH = 22, 34
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
# Smooth, so that lossy formats stay close to it, and different in each of the eight orientations.
COLOURS = np.stack([7 * COLUMNS, 11 * ROWS, 4 * (ROWS + COLUMNS)], axis=-1).astype("uint8")
GREY = COLOURS[..., 2]
RGB = Image.fromarray(COLOURS)
RGBA = Image.fromarray(np.dstack([COLOURS, (255 - 7 * COLUMNS).astype("uint8")]))
PALETTE = RGB.quantize(64)
DEEP = (ROWS * 1500 + COLUMNS * 900).astype(">u2")
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
         (1, 0, 2, 1))  # fmt: skip


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def packed(values, depth):
    """Returns the rows of a PNG file, from values of shape (height, width, channels)."""
    rows = []
    for row in values:
        flat = row.ravel()
        if depth == 16:
            content = flat.astype(">u2").tobytes()
        else:
            bits = (flat[:, None].astype("uint8") >> np.arange(depth)[::-1]) & 1
            content = np.packbits(bits.ravel()).tobytes()
        rows.append(b"\0" + content)
    return b"".join(rows)


def png(values, kind, depth, *chunks, interlaced=False):
    """Returns a PNG file of any colour type and depth; Pillow does not write all of them."""
    values = np.asarray(values).reshape(HEIGHT, WIDTH, -1)
    parts = [values]
    if interlaced:
        parts = [values[top::down, left::right] for top, left, down, right in ADAM7]
    content = zlib.compress(b"".join(packed(part, depth) for part in parts if part.size))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, interlaced)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", content), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def exif(orientation, order=">", kind=3, count=1):
    mark = b"MM\0*" if order == ">" else b"II*\0"
    value = struct.pack(order + ("H2x" if kind == 3 else "I"), orientation)
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + value
    return mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def jpeg_segments(content, *segments):
    """Returns a JPEG file with further segments before the first."""
    added = b"".join(mark + struct.pack(">H", len(s) + 2) + s for mark, s in segments)
    return content[:2] + added + content[2:]


def bmp(bits, pixels, palette=b"", compression=0, size=40, masks=(), height=HEIGHT, colours=0):
    header = struct.pack("<IiiHHIIiiII", size, WIDTH, height, 1, bits, compression,
                         len(pixels), 0, 0, colours, 0)  # fmt: skip
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    start = 14 + len(header) + len(palette)
    return (
        b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels
    )


def tensors(content):
    return [f(tf.constant(content)).numpy() for f in (GRAPH[1], GRAPH[3])]


GRAPH = {
    channels: tf.function(
        lambda content, channels=channels: decode(content, channels),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    for channels in (1, 3)
}

BGRA = np.asarray(RGBA)[::-1, :, [2, 1, 0, 3]].tobytes()
PADDED = np.pad(np.asarray(PALETTE)[::-1], [[0, 0], [0, -WIDTH % 4]]).tobytes()
TABLE = np.pad(np.reshape(PALETTE.getpalette()[:192], (64, 3))[:, ::-1], [[0, 0], [0, 1]])
TABLE = TABLE.astype("uint8").tobytes()
MASKS = (0xFF0000, 0xFF00, 0xFF)
LOW = GREY % 4
PNGS = {
    **{f"grey, {depth} bits": png(GREY >> 8 - depth, 0, depth) for depth in (1, 2, 4, 8)},
    "grey, 16 bits": png(DEEP, 0, 16),
    **{f"grey, {bits} of 16 bits": png(DEEP >> 16 - bits, 0, 16) for bits in (8, 10, 12, 14)},
    "black, 16 bits": png(0 * DEEP, 0, 16),
    "grey, interlaced": png(GREY, 0, 8, interlaced=True),
    "grey, 16 bits, interlaced": png(DEEP, 0, 16, interlaced=True),
    "grey and alpha": png(np.dstack([GREY, 255 - GREY]), 4, 8),
    "grey and alpha, 16 bits": png(np.dstack([DEEP, DEEP[::-1]]), 4, 16),
    "RGB": png(COLOURS, 2, 8),
    "RGB, interlaced": png(COLOURS, 2, 8, interlaced=True),
    "RGB, 16 bits": png(257 * COLOURS.astype(int), 2, 16),
    "RGBA": png(np.asarray(RGBA), 6, 8),
    "RGBA, 16 bits": png(257 * np.asarray(RGBA).astype(int), 6, 16),
    "palette": saved(PALETTE, "PNG"),
    "palette, 4 bits": saved(RGB.quantize(16), "PNG", bits=4),
    "palette, one colour transparent": saved(PALETTE, "PNG", transparency=9),
    "palette, several transparent": saved(PALETTE, "PNG", transparency=bytes(range(0, 252, 4))),
    **{
        f"grey, {depth} bits, one transparent": png(
            GREY >> 8 - depth, 0, depth, chunk(b"tRNS", struct.pack(">H", 1))
        )
        for depth in (1, 2, 4, 8)
    },
    "grey, 16 bits, one transparent": png(
        DEEP, 0, 16, chunk(b"tRNS", struct.pack(">H", int(DEEP[5, 7])))
    ),
    "RGB, one transparent": png(
        COLOURS, 2, 8, chunk(b"tRNS", struct.pack(">HHH", *map(int, COLOURS[3, 4])))
    ),
    "gamma": png(COLOURS, 2, 8, chunk(b"gAMA", struct.pack(">I", 100_000))),
    "ICC profile": png(COLOURS, 2, 8, chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(200)))),
    **{f"EXIF {n}": png(COLOURS, 2, 8, chunk(b"eXIf", exif(n))) for n in range(1, 9)},
    "animated": saved(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
    "animated, with a separate image": saved(
        RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)], default_image=True
    ),
    "damaged EXIF": png(COLOURS, 2, 8, chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")),
}
JPEGS = {
    **{
        f"quality {quality}, subsampling {subsampling}": saved(
            RGB, "JPEG", quality=quality, subsampling=subsampling
        )
        for quality, subsampling in itertools.product((30, 95), (0, 1, 2))
    },
    "grey": saved(Image.fromarray(GREY), "JPEG"),
    "progressive": saved(RGB, "JPEG", progressive=True),
    "RGB": saved(RGB, "JPEG", keep_rgb=True),
    "CMYK": saved(RGB.convert("CMYK"), "JPEG"),
    **{
        f"EXIF {n}": saved(RGB, "JPEG", exif=b"Exif\0\0" + exif(n, "<>"[n % 2]))
        for n in range(1, 9)
    },
    "EXIF, 32 bits": saved(RGB, "JPEG", exif=b"Exif\0\0" + exif(6, kind=4)),
    "EXIF 0": saved(RGB, "JPEG", exif=b"Exif\0\0" + exif(0)),
    "EXIF 9": saved(RGB, "JPEG", exif=b"Exif\0\0" + exif(9)),
    **{
        f"EXIF, {n} values": saved(RGB, "JPEG", exif=b"Exif\0\0" + exif(6, count=n))
        for n in (0, 2, 3, 2**31)
    },
    "damaged EXIF": saved(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x50"),
    "EXIF after 70 KB": jpeg_segments(
        saved(RGB, "JPEG"),
        *[(b"\xff\xe2", bytes(35_000))] * 2,
        (b"\xff\xe1", b"Exif\0\0" + exif(3)),
    ),
    "XMP orientation": saved(RGB, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "further bytes at the end": saved(RGB, "JPEG") + bytes(1000),
}
OTHERS = {
    **{f"{kind}, 1x1": saved(RGB.resize((1, 1)), kind) for kind in ("PNG", "JPEG", "GIF", "BMP")},
    "WebP, 1x1": saved(RGB.resize((1, 1)), "WEBP", lossless=True),
    "GIF": saved(PALETTE, "GIF"),
    "GIF, grey": saved(Image.fromarray(GREY), "GIF"),
    "GIF, interlaced": saved(PALETTE, "GIF", interlace=1),
    "GIF, comment": saved(PALETTE, "GIF", comment=b"!\xf9\x04\x01" * 200),
    "GIF, animated": saved(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)]),
    "BMP, grey": saved(Image.fromarray(GREY), "BMP"),
    "BMP, palette": saved(PALETTE, "BMP"),
    "BMP, palette of 64": bmp(8, PADDED, TABLE, colours=64),
    "BMP, 24 bits": saved(RGB, "BMP"),
    "BMP, 32 bits": saved(RGBA, "BMP"),
    "BMP, 32 bits, downwards": bmp(32, BGRA, height=-HEIGHT),
    "BMP, 32 bits with fields": bmp(32, BGRA, compression=3, masks=MASKS, size=52),
    "BMP, 32 bits with alpha": bmp(32, BGRA, compression=3, masks=(*MASKS, 255 << 24), size=56),
    "WebP": saved(RGB, "WEBP", quality=60),
    "WebP, lossless": saved(RGB, "WEBP", lossless=True),
    "WebP, alpha": saved(RGBA, "WEBP", quality=90),
    "WebP, lossless, alpha": saved(RGBA, "WEBP", lossless=True, exact=True),
    **{f"WebP, EXIF {n}": saved(RGB, "WEBP", lossless=True, exif=exif(n)) for n in (3, 6)},
}
ALIKE = {
    **{f"PNG, {name}": content for name, content in PNGS.items()},
    **{f"JPEG, {name}": content for name, content in JPEGS.items()},
    **OTHERS,
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_graph_decodes_the_pixels_that_pillow_does(name):
    image = decode_image(io.BytesIO(ALIKE[name]), name)
    for channels, mode in ((1, "L"), (3, "RGB")):
        expected = np.asarray(image.convert(mode)).reshape(image.height, image.width, channels)
        pixels = 255 * GRAPH[channels](tf.constant(ALIKE[name])).numpy()
        assert pixels.shape == expected.shape
        # Pillow rounds after compositing and after computing luminance.
        np.testing.assert_allclose(pixels, expected, atol=1.6)


REFUSED = {
    "empty": (b"", "it is not a PNG, JPEG, GIF, BMP or WebP file"),
    "text": (b"hello", "it is not a PNG, JPEG, GIF, BMP or WebP file"),
    "TIFF": (saved(RGB, "TIFF"), "it is not a PNG"),
    "PPM": (saved(RGB, "PPM"), "it is not a PNG"),
    "AVIF": (saved(RGB, "AVIF"), "it is not a PNG"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "it is not a PNG"),
    "animated WebP": (
        saved(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)]),
        "it is an animated WebP file",
    ),
    "transparent GIF": (saved(PALETTE, "GIF", transparency=9), "transparent colour"),
    "BMP of 1 bit": (saved(RGB.convert("1"), "BMP"), "8, 24 or 32 bits"),
    "BMP of 16 bits": (bmp(16, bytes(2 * WIDTH * HEIGHT)), "8, 24 or 32 bits"),
    "compressed BMP": (bmp(8, PADDED, TABLE, compression=1, colours=64), "compressed"),
    "BMP with other fields": (
        bmp(32, BGRA, compression=3, masks=(0xFF, 0xFF00, 0xFF0000), size=52),
        "compressed, or",
    ),
    "CMYK without an Adobe marker": (
        saved(RGB.convert("CMYK"), "JPEG").replace(b"Adobe", b"Other"),
        "CMYK JPEG file without an Adobe marker",
    ),
    "12 of 16 bits of colour": (png(COLOURS.astype(int) << 4, 2, 16), "at most 14 bits"),
    "too many segments": (
        jpeg_segments(saved(RGB, "JPEG"), *[(b"\xff\xfe", b"")] * 1001),
        "more than 1,000 segments",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_the_graph_would_decode_differently_are_refused_with_the_reason(name):
    content, message = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        GRAPH[1](tf.constant(content))
    with pytest.raises(DataError, match=message) as caught:
        decode(content)
    assert str(caught.value).startswith("The image cannot be decoded: ")
    assert "\n" not in str(caught.value)


def with_sides(name, width, height):
    """Returns a whole file whose header says that the image is larger."""
    content = bytearray(ALIKE[name])
    start, layout = {
        "PNG, RGB": (16, ">II"),
        "JPEG, grey": (ALIKE["JPEG, grey"].index(b"\xff\xc0") + 5, ">HH"),
        "GIF": (6, "<HH"),
        "BMP, 24 bits": (18, "<II"),
        "WebP": (26, "<HH"),
    }[name]
    sides = (height, width) if name.startswith("JPEG") else (width, height)
    struct.pack_into(layout, content, start, *sides)
    if name.startswith("PNG"):
        struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("name", ["PNG, RGB", "JPEG, grey", "GIF", "BMP, 24 bits", "WebP"])
def test_images_of_too_many_pixels_are_refused_before_they_are_decoded(name):
    # WebP has 14 bits for a side.
    bomb = with_sides(name, 16_383 if name == "WebP" else 20_000, 16_000)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 100,000,000 pixels"):
        GRAPH[1](tf.constant(bomb))
    with pytest.raises(DataError, match=rf"^{name}: .* too many( pixels)?; at most 100,000,000"):
        decode_image(io.BytesIO(bomb), name)


def test_a_truncated_file_is_refused_by_both():
    for name in ("PNG, RGB", "JPEG, grey", "BMP, 24 bits", "WebP"):
        cut = ALIKE[name][: len(ALIKE[name]) // 2]
        with pytest.raises(tf.errors.InvalidArgumentError):
            GRAPH[1](tf.constant(cut))
        with pytest.raises(DataError, match=rf"^{name}: "):
            decode_image(io.BytesIO(cut), name)


def test_a_jpeg_file_without_its_end_marker_is_refused_by_both():
    cut = ALIKE["JPEG, grey"][:-2]
    with pytest.raises(tf.errors.InvalidArgumentError):
        GRAPH[1](tf.constant(cut))
    with pytest.raises(DataError, match="truncated"):
        decode_image(io.BytesIO(cut), "photo.jpg")


def test_a_saved_model_reports_the_reason_to_its_client(tmp_path):
    module = tf.Module()
    module.decode = GRAPH[1]
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert loaded.decode(ALIKE["PNG, RGB"]).shape == (HEIGHT, WIDTH, 1)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        loaded.decode(REFUSED["animated WebP"][0])
    assert reason(caught.value) == (
        "The image cannot be decoded: it is an animated WebP file. "
        "Give the bytes of a whole PNG or JPEG file."
    )
