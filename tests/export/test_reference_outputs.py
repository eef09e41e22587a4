"""Stored outputs: compressed as text, and compared with images that round differently."""

import base64
import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.errors import PublishError
from dlrecipes.export.reference_outputs import assert_match, compare_or_fail, inputs, record, size
from dlrecipes.export.signatures import Signature

SIDE = 100


def doubled(x):
    return {"y": 2 * x}


def reference(x):
    (entry,) = record(Signature(doubled, [tf.TensorSpec([None], name="x")], [(x,)]), doubled)
    return entry


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"image_bytes": np.array([file.getvalue()], object)}


def test_stored_numbers_that_repeat_are_compressed():
    x = np.zeros(10_000, "float32")
    # 10,000 numbers of 4 bytes, and as many of the output, as base64.
    assert size(reference(x)) < 2 * 10_000 * 4
    np.testing.assert_array_equal(inputs(reference(x))["x"], x)


def test_outputs_of_older_versions_are_read_without_compression():
    entry = reference(np.float32([1, 2]))
    for side in entry.values():
        for name, text in side.items():
            content, _, dtype = text.partition(":")
            plain = zlib.decompress(base64.b64decode(content))
            side[name] = f"{base64.b64encode(plain).decode()}:{dtype}"
    compare_or_fail("x", [entry], doubled)
    assert inputs(entry)["x"].tolist() == [1, 2]


def test_an_image_matches_if_an_edge_moved_by_a_pixel_or_colours_by_a_level():
    white = np.full((SIDE, SIDE, 3), 200, "uint8")
    moved, brighter = white.copy(), white + 8
    moved[:, 0] = 0  # One column of 100.
    for other in (white, moved, brighter):
        assert_match("draw", png(white), png(other))


@pytest.mark.parametrize("change", ["columns", "levels", "size", "not an image"])
def test_an_image_does_not_match_another(change):
    white = np.full((SIDE, SIDE, 3), 200, "uint8")
    other = white.copy()
    if change == "columns":
        other[:, :2] = 0
    outputs = png({"levels": white + 9, "size": white[1:]}.get(change, other))
    if change == "not an image":
        outputs["image_bytes"][0] = b"none"
    with pytest.raises(PublishError, match="image_bytes differs from the model"):
        assert_match("draw", png(white), outputs)


def test_nan_does_not_match_a_number():
    with pytest.raises(PublishError, match="differs"):
        assert_match("x", {"a": np.array([1.0])}, {"a": np.array([np.nan])})


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"b": np.zeros(2)}, "outputs"),
        ({"a": np.zeros(3)}, "shape"),
        ({"a": np.array([0.0, 2e-4])}, "differs"),
    ],
)
def test_a_mismatch_says_what_differs(outputs, message):
    with pytest.raises(PublishError, match=message):
        assert_match("x", {"a": np.zeros(2)}, outputs)


def test_nan_and_infinity_match_only_themselves():
    values = np.float32([1, np.nan, np.inf, -np.inf])
    assert_match("x", {"y": values}, {"y": values.copy()})
    for other in ([1, 0, np.inf, -np.inf], [1, np.nan, -np.inf, -np.inf], [1, np.nan, 5, -np.inf]):
        with pytest.raises(PublishError, match="differs from the model"):
            assert_match("x", {"y": values}, {"y": np.float32(other)})
