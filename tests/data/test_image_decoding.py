"""Files are scaled to 8 bits by the range of their values, and what is unclear is refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from dlrecipes._utils import notes
from dlrecipes.data import image_decoding
from dlrecipes.data.image_decoding import SUFFIXES, decode_image, scale_to_uint8
from dlrecipes.data.image_files import read_image
from dlrecipes.errors import DataError

RAMP = np.linspace(0, 1, 12).reshape(3, 4)


@pytest.fixture(autouse=True)
def no_earlier_notes(monkeypatch):
    monkeypatch.setattr(notes, "_PRINTED", set())


def grey(image, kind="TIFF", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return np.asarray(decode_image(file, "scan"))


def tiff(values, bits, sample_format=1, photometric=1, order="<"):
    """Returns an uncompressed grey TIFF file; Pillow does not write all of them."""
    if bits == 12:
        nibbles = (
            np.stack([values >> 8, values >> 4, values], axis=-1).reshape(len(values), -1) % 16
        )
        pixels = (16 * nibbles[:, ::2] + nibbles[:, 1::2]).astype("u1").tobytes()
    else:
        pixels = values.astype(f"{order}{'uif'[sample_format - 1]}{bits // 8}").tobytes()
    height, width = values.shape
    tags = ((256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8),
            (277, 1), (278, height), (279, len(pixels)), (339, sample_format))  # fmt: skip
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + len(pixels)) + pixels + directory


def read(content):
    return np.asarray(decode_image(io.BytesIO(content), "scan"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_integers_are_scaled_by_the_fewest_bits_that_hold_them(bits, kind, capsys):
    values = np.round(RAMP * (2**bits - 1)).astype("uint16")
    # The upper 8 bits of an n-bit number are its quotient by 2 to the power of n - 8.
    np.testing.assert_array_equal(grey(values, kind), values // 2 ** (bits - 8))
    note = capsys.readouterr().err
    if bits == 16:
        assert note == ""
    else:
        assert note == (
            f"Note: scan: the 16-bit values reach {2**bits - 1:,} and are read as {bits} bits "
            f"(white is {2**bits - 1:,}), as in all files like it.\n"
        )
        grey(values, kind)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("bits", [8, 12, 16, 24, 32])
def test_32_bit_integers_are_scaled_likewise(bits):
    values = np.round(RAMP * (2**bits - 1)).astype("int64")
    np.testing.assert_array_equal(read(tiff(values, 32)), values >> (bits - 8))
    if bits < 32:
        signed = tiff(values, 32, 2, order=">")
        np.testing.assert_array_equal(read(signed), values >> (bits - 8))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_compression_does_not_change_the_scale(compression):
    values = np.round(RAMP * 4095).astype("uint16")
    np.testing.assert_array_equal(grey(values, compression=compression), values // 16)
    np.testing.assert_array_equal(
        grey(RAMP.astype("float32"), compression=compression), np.round(255 * RAMP)
    )


def test_white_of_signed_types_is_their_largest_number(capsys):
    for bits in (8, 16, 32):
        values = np.round(RAMP * (2 ** (bits - 1) - 1)).astype("int64")
        # Half of 8 bits stay as they are; otherwise the upper 8 of the bits without the sign.
        expected = values if bits == 8 else values >> (bits - 9)
        np.testing.assert_array_equal(read(tiff(values, bits, 2)), expected)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind, options", [
    ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True}),
    ("AVIF", {"quality": 100}),
])  # fmt: skip
def test_the_orientation_of_every_format_is_applied_once(kind, options):
    levels = np.arange(15, dtype="uint8").reshape(3, 5) * 16
    exif = Image.Exif()
    exif[0x0112] = 6  # The first row is the right side.
    file = io.BytesIO()
    Image.fromarray(np.dstack([levels] * 3)).save(file, kind, exif=exif, **options)
    upright = np.asarray(decode_image(file, "photo").convert("L"))
    np.testing.assert_allclose(upright, np.rot90(levels, -1), atol=3)


@pytest.mark.parametrize("order", "<>")
def test_floats_from_0_to_1_are_multiplied_by_255(order):
    expected = np.round(255 * RAMP)
    np.testing.assert_array_equal(read(tiff(RAMP, 32, 3, order=order)), expected)
    # Larger floats are on a scale of integers.
    np.testing.assert_array_equal(read(tiff(255 * RAMP, 32, 3, order=order)), (255 * RAMP) // 1)
    np.testing.assert_array_equal(read(tiff(4095 * RAMP, 32, 3)), (4095 * RAMP) // 16)


def test_12_bit_files_say_so_themselves():
    # The largest value uses 10 bits only, but the file declares 12.
    values = np.round(RAMP * 1000).astype("int64")
    np.testing.assert_array_equal(read(tiff(values, 12)), values // 16)


def test_white_may_be_zero_in_files_of_any_depth():
    values = np.round(RAMP * 65_535).astype("int64")
    inverted = tiff(values, 16, photometric=0)
    np.testing.assert_array_equal(read(inverted), 255 - values // 256)
    np.testing.assert_array_equal(read(tiff(values // 256, 8, photometric=0)), 255 - values // 256)
    file = io.BytesIO()
    Image.fromarray(RAMP > 0.4).save(file, "TIFF", compression="group4")
    np.testing.assert_array_equal(np.asarray(decode_image(file, "fax")), 255 * (RAMP > 0.4))


@pytest.mark.parametrize("white", [1, 15, 255, 1000, 4095, 65_535])
@pytest.mark.parametrize("kind", ["P2", "P5"])
def test_portable_graymaps_say_which_value_is_white(white, kind):
    values = np.round(RAMP * white).astype("int64")
    body = values.astype(">u2" if white > 255 else "u1").tobytes()
    if kind == "P2":
        body = " ".join(map(str, values.ravel())).encode()
    content = read(f"{kind}\n4 3\n{white}\n".encode() + body)
    np.testing.assert_allclose(content, np.round(RAMP * white) / white * 255, atol=1)


@pytest.mark.parametrize(
    "content, message",
    [
        (tiff(-5 * RAMP, 16, 2), "contains negative values, from -5 to 0. Shift and scale"),
        (tiff(-5 * RAMP, 8, 2), "contains negative values, from -5 to 0"),
        (tiff(-RAMP, 32, 3), "contains negative values, from -1 to 0"),
        (tiff(np.where(RAMP < 0.5, np.nan, RAMP), 32, 3), "contains NaN or infinity"),
        (tiff(np.where(RAMP < 0.5, np.inf, RAMP), 32, 3), "contains NaN or infinity"),
        (tiff(3 * RAMP, 32, 3), "the floats reach 3; it is unclear which is white. Scale them"),
        (tiff(1e12 * RAMP, 32, 3), r"the values reach 1e\+12; at most 32 bits are read"),
        (tiff(RAMP, 64, 3)[:30], "cannot be read|not an image|unsupported kind"),
        (tiff(RAMP, 16, 3), "a TIFF image of an unsupported kind, which is not read. Convert"),
        (b"\xff\x0a123", "this is a JPEG XL image, which is not read. Convert it to PNG"),
        (bytes(128) + b"DICM", "this is a DICOM image, which is not read"),
        (b"", "this is not an image: the file is empty. Copy it again, or remove it."),
    ],
)
def test_what_is_unclear_is_refused_in_one_line_with_the_file(content, message):
    with pytest.raises(DataError, match=rf"^scan: .*({message})") as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_arrays_of_any_type_are_converted_to_8_bits():
    for dtype, white in (("int32", 255), ("float64", 1), ("uint16", 65_535), ("float32", 255)):
        assert scale_to_uint8(np.array([0, white], dtype), "scan").tolist() == [0, 255]
    assert scale_to_uint8(np.zeros((0, 2), "int64"), "scan").shape == (0, 2)
    assert scale_to_uint8(np.array([True, False]), "scan").tolist() == [255, 0]


def test_names_do_not_decide_the_format(tmp_path):
    for name, kind in (("a.png", "JPEG"), ("b.JFIF", "JPEG"), ("c.jpg", "PNG"), ("d.AVIF", "AVIF")):
        Image.new("L", (1, 1), 200).save(tmp_path / name, kind)
        assert abs(int(read_image(tmp_path / name, "L")[0, 0]) - 200) <= 2
    assert {path.suffix.lower() for path in tmp_path.iterdir()} <= set(SUFFIXES)


def test_only_the_first_page_is_read_and_this_is_said(capsys):
    file = io.BytesIO()
    pages = [Image.new("L", (2, 2), level) for level in (10, 20, 30)]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    assert (np.asarray(decode_image(file, "scan.tif")) == 10).all()
    assert capsys.readouterr().err == (
        "Note: scan.tif: the first of 3 frames or pages is read, as in all such files.\n"
    )


def test_heic_files_are_read_or_the_message_says_how(tmp_path, monkeypatch):
    header = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic"
    (tmp_path / "a.heic").write_bytes(header)
    monkeypatch.setattr(image_decoding, "READS_HEIF", False)
    image_decoding._formats.cache_clear()
    with pytest.raises(DataError, match=r"a\.heic: HEIC images are not read. Type pip install"):
        read_image(tmp_path / "a.heic")
    image_decoding._formats.cache_clear()
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(tmp_path / "b.heic")
    monkeypatch.setattr(image_decoding, "READS_HEIF", True)
    np.testing.assert_allclose(read_image(tmp_path / "b.heic")[9, 9], [255, 0, 0], atol=4)
