"""JSON to arrays and back, as TensorFlow Serving's documentation has it."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving.json_body import answer, inputs, parse, signature_name
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import shown, to_array

FLOAT = {"x": tf.TensorSpec([None], tf.float32)}
TWO = {"tag": tf.TensorSpec([None], tf.string), "signal": tf.TensorSpec([None, 2], tf.float32)}


def test_rows_of_one_input_need_no_name():
    arrays, rows = inputs({"instances": [1.0, 2.0, 5.0]}, FLOAT)
    assert rows
    np.testing.assert_array_equal(arrays["x"], np.float32([1, 2, 5]))
    named, _ = inputs({"instances": [{"x": 1.0}, {"x": 2.0}, {"x": 5.0}]}, FLOAT)
    np.testing.assert_array_equal(named["x"], arrays["x"])


def test_rows_of_several_inputs_are_put_together():
    rows = [{"tag": "foo", "signal": [1, 2]}, {"tag": "bär", "signal": [3, 4.5]}]
    arrays, _ = inputs({"instances": rows}, TWO)
    assert arrays["tag"].tolist() == [b"foo", "bär".encode()]
    np.testing.assert_array_equal(arrays["signal"], np.float32([[1, 2], [3, 4.5]]))


def test_columns_are_taken_as_they_are():
    arrays, rows = inputs({"inputs": {"tag": ["a"], "signal": [[1, 2]]}}, TWO)
    assert not rows
    assert arrays["tag"].tolist() == [b"a"]
    arrays, _ = inputs({"inputs": [1, 2]}, FLOAT)
    assert arrays["x"].tolist() == [1, 2]
    arrays, _ = inputs({"inputs": 3}, FLOAT)
    assert arrays["x"].shape == ()


def test_bytes_come_in_base64_of_either_alphabet_padded_or_not():
    content = bytes(range(250, 256)) + b"x"
    for coded in (base64.b64encode(content), base64.urlsafe_b64encode(content)):
        for text in (coded.decode(), coded.decode().rstrip("=")):
            found = to_array([{"b64": text}], tf.string)
            assert found.tolist() == [content]


def test_numbers_that_json_lacks_are_known():
    found = to_array(parse(b'{"x": [NaN, Infinity, -Infinity]}')["x"], tf.float32)
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("dtype", "value", "wanted"),
    [
        (tf.int32, [[1, -2]], np.int32([[1, -2]])),
        (tf.int64, 2**62, np.int64(2**62)),
        (tf.uint8, [255, 0], np.uint8([255, 0])),
        (tf.uint64, [2**64 - 1], np.uint64([2**64 - 1])),
        (tf.bool, [True, False], np.array([True, False])),
        (tf.float64, [0.1, 2**53 - 1], np.float64([0.1, 2**53 - 1])),
        (tf.float16, [0.5, 2047], np.float16([0.5, 2047])),
        (tf.float32, [], np.zeros(0, "float32")),
        (tf.float32, [[], []], np.zeros((2, 0), "float32")),
    ],
)
def test_each_type_has_its_numbers(dtype, value, wanted):
    found = to_array(value, dtype)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (tf.float32, ["a"], 'JSON Value: "a" Type: String is not of expected type: float'),
        (tf.float32, [None], "JSON Value: null Type: Null is not of expected type: float"),
        (tf.float32, [True], "JSON Value: true Type: True is not of expected type: float"),
        (tf.float32, [{"b64": "AA"}], "Type: Object is not of expected type: float"),
        (tf.float32, [2**24], "Cannot convert JSON value: 16777216 to float without loss"),
        (tf.float32, [1e300], "without loss of precision"),
        (tf.int32, [1.0], "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        (tf.int32, [2**31], "is not of expected type: int32"),
        (tf.uint8, [-1], "is not of expected type: uint8"),
        (tf.bool, [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        (tf.string, [1], "JSON Value: 1 Type: Number is not of expected type: string"),
        (tf.string, [{"b65": "AA"}], "not formatted correctly for base64 data"),
        (tf.string, [{"b64": "AA", "x": 1}], "not formatted correctly for base64 data"),
        (tf.string, [{"b64": "!"}], "Unable to base64 decode"),
        (tf.string, [{"b64": "ü"}], "Unable to base64 decode"),
        (tf.string, ["\ud800"], "half of a surrogate pair"),
        (tf.float32, [[1], [1, 2]], "unexpected size: 2 at level: 1 expected size: 1"),
        (tf.float32, [[1], 2], "JSON Value: 2 found at incorrect level: 2"),
        (tf.float32, [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        (tf.complex64, [1], "to type: complex64"),
    ],
)
def test_what_is_no_tensor_is_told(dtype, value, said):
    with pytest.raises(RequestError) as caught:
        to_array(value, dtype)
    assert said in caught.value.message
    assert caught.value.http in (400, 501)


def test_lists_too_deep_for_a_tensor_are_refused():
    value = 1.0
    for _ in range(40):
        value = [value]
    with pytest.raises(RequestError, match="32 levels"):
        to_array(value, tf.float32)


def test_what_rapidjson_reads_is_read():
    """A byte order mark, short words for infinity, and more inputs than there are."""
    body = b'\xef\xbb\xbf{"inputs": {"x": [Inf, -Inf, NaN], "Inf": "Inf \\" Inf"}}'
    parsed = parse(body)
    assert parsed["inputs"]["Inf"] == 'Inf " Inf'
    arrays, rows = inputs(parsed, {"x": tf.TensorSpec([None], tf.float32)})
    np.testing.assert_array_equal(arrays["x"], np.float32([np.inf, -np.inf, np.nan]))
    assert not rows


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error"),
        (b"[1]", "JSON Value: [1] Is not object"),
        (b"\xff\xfe", "Invalid encoding in string. at offset: 0"),
        (b'{"x": 1e999}', "Number too big to be stored in double"),
        (b'{"x": ' + b"9" * 5000 + b"}", "JSON Parse error"),
        (b'{"x": ' + b"[" * 200_000, "JSON Parse error"),
        (b'{"x": ' + b'{"a":' * 200_000, "JSON Parse error"),
    ],
)
def test_what_is_no_json_is_told(body, said):
    with pytest.raises(RequestError) as caught:
        parse(body)
    assert said in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [1], "instances": [1]}, "only one of 'inputs' or 'instances'"),
        ({"instances": 1}, "'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [{"x": 1}, 2]}, "Expecting object but got list at item 1"),
        ({"instances": [1, {"x": 2}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [{"y": 1}]}, "element: 0 key: y of 'instances' list. Error: INVALID_ARG"),
        ({"instances": [{"x": 1, "y": 1}]}, "JSON object: does not have named input: y"),
        ({"instances": [{"x": 1}, {}]}, "keys must be equal to: x"),
        ({"instances": [1, "a"]}, "Failed to process element: 1 of 'instances' list."),
        ({"instances": [{"x": 1}, {"x": "a"}]}, "element: 1 key: x of 'instances' list."),
        ({"instances": [[1], [1, 2]]}, "Expecting tensor size: 1 but got: 2"),
        ({"instances": [[[1, 2]], [[1], [2]]]}, "Expecting shape [1,2] but got: [2,1]"),
        ({"inputs": {"z": 1}}, "Missing named input: x in 'inputs' object."),
    ],
)
def test_what_is_no_request_is_told(body, said):
    with pytest.raises(RequestError) as caught:
        inputs(body, FLOAT)
    assert said in caught.value.message


@pytest.mark.parametrize("body", [{"instances": [1]}, {"inputs": [1]}])
def test_several_inputs_must_be_named(body):
    with pytest.raises(RequestError, match="multiple input tensors required"):
        inputs(body, TWO)


def test_the_signature_is_a_string():
    assert signature_name({}) == ""
    assert signature_name({"signature_name": "two"}) == "two"
    with pytest.raises(RequestError, match="'signature_name' key must be a string value"):
        signature_name({"signature_name": 3})


def test_one_output_stands_without_its_name():
    y = {"y": np.float32([2.5, 3.0])}
    assert json.loads(answer(y, rows=True)) == {"predictions": [2.5, 3.0]}
    assert json.loads(answer(y, rows=False)) == {"outputs": [2.5, 3.0]}


def test_several_outputs_have_names_in_each_row():
    found = {"b": np.int32([[1, 2], [3, 4]]), "a": np.array([True, False])}
    assert json.loads(answer(found, rows=True)) == {
        "predictions": [{"a": True, "b": [1, 2]}, {"a": False, "b": [3, 4]}]
    }
    assert json.loads(answer(found, rows=False)) == {
        "outputs": {"a": [True, False], "b": [[1, 2], [3, 4]]}
    }


def test_floats_have_the_digits_that_tell_them():
    found = {"y": np.float32([0.2, 1 / 3, 1e-30, 16777216, -0.0])}
    text = answer(found, rows=False).decode()
    assert "0.2," in text
    assert "0.33333334," in text
    back = np.float32(json.loads(text)["outputs"])
    np.testing.assert_array_equal(back, found["y"])


def test_numbers_that_are_none_are_written_as_tensorflow_serving_does():
    text = answer({"y": np.float32([np.nan, np.inf, -np.inf])}, rows=False)
    assert text == b'{"outputs":[NaN,Infinity,-Infinity]}'


def test_bytes_go_out_in_base64_by_their_name_alone():
    content = np.array([b"\xff\x00"], object)
    found = json.loads(answer({"png_bytes": content, "text": content}, rows=True))
    assert found == {"predictions": [{"png_bytes": {"b64": "/wA="}, "text": "\ufffd\x00"}]}


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"y": np.float32(1)}, "y has no shape information"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "inconsistent batch size: 3 expecting: 2"),
    ],
)
def test_rows_need_one_first_axis(outputs, said):
    with pytest.raises(RequestError, match=said):
        answer(outputs, rows=True)
    assert answer(outputs, rows=False)


def test_long_values_are_cut_in_messages():
    assert len(shown(["x" * 10_000])) < 300
