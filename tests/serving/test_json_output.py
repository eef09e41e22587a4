"""Arrays to JSON bodies, by TensorFlow Serving's documentation."""

import json
import time

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from dlrecipes.serving import json_output
from dlrecipes.serving.json_output import NUMBERS, answer, check_size, pieces, result_pieces, size
from dlrecipes.serving.limits import Limits
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import shortest

IMAGE = np.random.default_rng(0).random((1, 256, 256, 3), "float32")


def column(array, rows=False, name="y"):
    """Returns an output as a client reads it."""
    return json.loads(answer({name: array}, rows))["predictions" if rows else "outputs"]


def test_a_single_output_has_no_name():
    y = {"y": np.float32([2.5, 3.0])}
    assert json.loads(answer(y, rows=True)) == {"predictions": [2.5, 3.0]}
    assert json.loads(answer(y, rows=False)) == {"outputs": [2.5, 3.0]}


def test_several_outputs_are_named_in_each_row():
    outputs = {"b": np.int32([[1, 2], [3, 4]]), "a": np.array([True, False])}
    assert json.loads(answer(outputs, rows=True)) == {
        "predictions": [{"a": True, "b": [1, 2]}, {"a": False, "b": [3, 4]}]
    }
    assert json.loads(answer(outputs, rows=False)) == {
        "outputs": {"a": [True, False], "b": [[1, 2], [3, 4]]}
    }


def test_floats_are_written_with_the_fewest_digits_that_identify_them():
    y = np.float32([0.2, 1 / 3, 1e-30, 16777216, -0.0])
    text = answer({"y": y}, rows=False).decode()
    assert "0.2," in text
    assert "0.33333334," in text
    assert "-0.0" in text
    np.testing.assert_array_equal(np.float32(json.loads(text)["outputs"]), y)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_is_read_back_as_it_was(dtype):
    # Random bits are numbers of all sizes, and not-a-number and infinity as well.
    bits = np.random.default_rng(1).integers(0, 256, 80_000, "uint8")
    y = np.append(bits.view(dtype), np.array([np.inf, -np.inf, np.nan, 5e-324, -0.0], dtype))
    np.testing.assert_array_equal(np.array(column(y), dtype), y)
    rows = json.loads(answer({"y": y, "z": y[:, None]}, rows=True))["predictions"]
    np.testing.assert_array_equal(np.array([row["y"] for row in rows], dtype), y)
    np.testing.assert_array_equal(np.array([row["z"][0] for row in rows], dtype), y)


def test_float16_is_written_with_its_own_digits():
    assert answer({"y": np.float16([0.2, 0.1])}, rows=False) == b'{"outputs":[0.2,0.1]}'
    assert shortest(np.float32([[0.2], [np.inf]])).tolist() == [[0.2], [np.inf]]
    assert shortest(np.float16([[0.2, np.nan]]))[0, 0] == 0.2


def test_bfloat16_is_read_back_as_it_was():
    y = tf.constant([0.1, -3e38, np.inf, 7.0], tf.bfloat16)
    assert column(y.numpy()) == tf.cast(y, tf.float64).numpy().tolist()


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"])
def test_integers_are_written_exactly(kind):
    info = np.iinfo(kind)
    assert column(np.array([info.min, 0, info.max], kind)) == [info.min, 0, info.max]
    assert column(np.array(info.max, kind)) == info.max


def test_nan_and_infinity_are_written_as_in_tensorflow_serving():
    text = answer({"y": np.float32([np.nan, np.inf, -np.inf])}, rows=False)
    assert text == b'{"outputs":[NaN,Infinity,-Infinity]}'
    outputs = {"s": np.array([b"null", b"NaN"], object), "y": np.float32([np.nan, 1])}
    text = answer(outputs, rows=True)
    assert text == b'{"predictions":[{"s":"null","y":NaN},{"s":"NaN","y":1.0}]}'
    outputs["y"] = np.float64([[1, -np.inf], [2, 3]])
    text = answer(outputs, rows=True)
    assert text == b'{"predictions":[{"s":"null","y":[1.0,-Infinity]},{"s":"NaN","y":[2.0,3.0]}]}'


def test_results_with_nan_are_written_as_in_tensorflow_serving():
    blocks = iter([[[["null", np.nan]], [["ü", 0.5]]], [[["b", np.inf]]]])
    text = b"".join(result_pieces(blocks)).decode()
    assert text == '{"results":[[["null",NaN]],[["ü",0.5]],[["b",Infinity]]]}'


def test_only_outputs_named_bytes_are_written_in_base64():
    content = np.array([b"\xff\x00"], object)
    response = json.loads(answer({"png_bytes": content, "text": content}, rows=True))
    assert response == {"predictions": [{"png_bytes": {"b64": "/wA="}, "text": "\ufffd\x00"}]}


@pytest.mark.parametrize("scalar", [b"a\x00", np.array(b"a\x00", object)])
def test_scalar_strings_are_written(scalar):
    assert column(scalar) == "a\x00"
    assert column(scalar, name="y_bytes") == {"b64": "YQA="}
    assert size({"y": scalar})[0] <= len(b'"a\\u0000"') <= size({"y": scalar})[1]


@pytest.mark.parametrize(
    "shape",
    [(), (0,), (2, 0), (0, 3), (3 * NUMBERS + 1,), (2, NUMBERS + 5), (3, 2, NUMBERS), (7000, 3)],
)
def test_large_outputs_are_written_in_pieces_of_any_shape(shape):
    y = np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)
    written = list(pieces({"y": y}, rows=False))
    assert max(map(len, written)) <= 12 * NUMBERS
    assert json.loads(b"".join(written))["outputs"] == y.tolist()
    transposed = y.T.copy().T
    assert column(transposed) == y.tolist()
    if shape:
        rows = json.loads(answer({"y": transposed, "x": y}, rows=True))["predictions"]
        assert rows == [{"x": row, "y": row} for row in y.tolist()]


def test_a_256x256x3_response_takes_at_most_20_ms_of_cpu():
    def seconds():
        began = time.thread_time()
        text = answer({"y": IMAGE}, rows=True)
        return time.thread_time() - began, text

    taken, text = min(seconds() for _ in range(5))
    assert taken <= 0.02
    np.testing.assert_array_equal(np.float32(json.loads(text)["predictions"]), IMAGE)


numbers = st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u8", "?"])


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = int(np.prod(shape, dtype=int))
    if draw(st.booleans()):
        array = np.empty(count, object)
        array[:] = draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count))
        return array.reshape(shape)
    dtype = np.dtype(draw(numbers))
    content = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    array = np.frombuffer(content, "u1" if dtype.kind == "b" else dtype)
    return (array > 100 if dtype.kind == "b" else array).reshape(shape)


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
@hypothesis.given(st.dictionaries(st.sampled_from(["y", "y_bytes", "other"]), arrays()))
def test_sizes_are_bounded_before_anything_is_written(outputs):
    least, most = size(outputs)
    frame = len(b'{"predictions":{}}')
    assert least <= len(answer(outputs, rows=False)) <= most + frame
    counts = {len(array) if array.ndim else None for array in outputs.values()}
    if len(counts) == 1 and counts != {None}:
        assert least <= len(answer(outputs, rows=True)) <= most + frame


def test_twenty_million_numbers_are_refused_before_they_are_written(monkeypatch):
    monkeypatch.setattr(json_output, "_dump_numbers", lambda block: pytest.fail("written"))
    # A broadcast array takes no memory.
    outputs = {"y": np.broadcast_to(np.float32(0.1), 20_000_000)}
    with pytest.raises(RequestError, match="--max-output-mb") as error:
        check_size(outputs, Limits())
    assert (error.value.code, error.value.http) == ("RESOURCE_EXHAUSTED", 429)
    assert "\n" not in error.value.message
    assert check_size(outputs, Limits(output=2**30)) <= 2**30


@pytest.mark.parametrize("shape", [(2**40, 0), (1, 2**40, 0), (2**20, 2**20, 0)])
def test_empty_lists_without_number_are_refused_before_they_are_written(shape):
    # The array has no elements, but its JSON is a list of at least 2**40 empty lists.
    with pytest.raises(RequestError, match="--max-output-mb"):
        check_size({"y": np.empty(shape, "float32")}, Limits())


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"y": np.float32(1)}, "y has no shape information"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "inconsistent batch size: 3 expecting: 2"),
    ],
)
def test_rows_need_outputs_of_the_same_length(outputs, message):
    with pytest.raises(RequestError, match=message):
        answer(outputs, rows=True)
    assert answer(outputs, rows=False)


def test_types_that_json_does_not_have_are_refused():
    with pytest.raises(RequestError, match="for tensor type: complex64"):
        answer({"y": np.complex64([1])}, rows=False)
