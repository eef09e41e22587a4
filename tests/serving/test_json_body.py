"""JSON bodies to arrays and back, by TensorFlow Serving's documentation."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving.json_body import answer, inputs, parse, signature_name
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import brief, to_array

FLOAT = {"x": tf.TensorSpec([None], tf.float32)}
TWO = {"tag": tf.TensorSpec([None], tf.string), "signal": tf.TensorSpec([None, 2], tf.float32)}


def test_rows_of_a_single_input_need_no_name():
    arrays, rows = inputs({"instances": [1.0, 2.0, 5.0]}, FLOAT)
    assert rows
    np.testing.assert_array_equal(arrays["x"], np.float32([1, 2, 5]))
    named, _ = inputs({"instances": [{"x": 1.0}, {"x": 2.0}, {"x": 5.0}]}, FLOAT)
    np.testing.assert_array_equal(named["x"], arrays["x"])


def test_rows_of_several_inputs_are_joined_by_name():
    rows = [{"tag": "foo", "signal": [1, 2]}, {"tag": "bär", "signal": [3, 4.5]}]
    arrays, _ = inputs({"instances": rows}, TWO)
    assert arrays["tag"].tolist() == [b"foo", "bär".encode()]
    np.testing.assert_array_equal(arrays["signal"], np.float32([[1, 2], [3, 4.5]]))


def test_columns_keep_their_shape():
    arrays, rows = inputs({"inputs": {"tag": ["a"], "signal": [[1, 2]]}}, TWO)
    assert not rows
    assert arrays["tag"].tolist() == [b"a"]
    arrays, _ = inputs({"inputs": [1, 2]}, FLOAT)
    assert arrays["x"].tolist() == [1, 2]
    arrays, _ = inputs({"inputs": 3}, FLOAT)
    assert arrays["x"].shape == ()


def test_base64_of_either_alphabet_is_decoded_with_or_without_padding():
    content = bytes(range(250, 256)) + b"x"
    for encoded in (base64.b64encode(content), base64.urlsafe_b64encode(content)):
        for text in (encoded.decode(), encoded.decode().rstrip("=")):
            assert to_array([{"b64": text}], tf.string).tolist() == [content]


def test_nan_and_infinity_are_parsed():
    array = to_array(parse(b'{"x": [NaN, Infinity, -Infinity]}')["x"], tf.float32)
    assert np.isnan(array[0])
    assert array[1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
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
def test_values_are_converted_to_each_type(dtype, value, expected):
    array = to_array(value, dtype)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
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
        (tf.string, ["\ud800"], "unpaired surrogate"),
        (tf.float32, [[1], [1, 2]], "unexpected size: 2 at level: 1 expected size: 1"),
        (tf.float32, [[1], 2], "JSON Value: 2 found at incorrect level: 2"),
        (tf.float32, [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        (tf.complex64, [1], "to type: complex64"),
    ],
)
def test_values_of_another_type_or_shape_are_refused(dtype, value, message):
    with pytest.raises(RequestError) as caught:
        to_array(value, dtype)
    assert message in caught.value.message
    assert caught.value.http in (400, 501)


def test_lists_nested_too_deeply_are_refused():
    value = 1.0
    for _ in range(40):
        value = [value]
    with pytest.raises(RequestError, match="32 levels"):
        to_array(value, tf.float32)


def test_extensions_of_rapidjson_are_parsed():
    """A byte order mark, the abbreviation Inf, and inputs that the signature does not have."""
    body = b'\xef\xbb\xbf{"inputs": {"x": [Inf, -Inf, NaN], "Inf": "Inf \\" Inf"}}'
    parsed = parse(body)
    assert parsed["inputs"]["Inf"] == 'Inf " Inf'
    arrays, rows = inputs(parsed, {"x": tf.TensorSpec([None], tf.float32)})
    np.testing.assert_array_equal(arrays["x"], np.float32([np.inf, -np.inf, np.nan]))
    assert not rows


@pytest.mark.parametrize(
    ("body", "message"),
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
def test_invalid_json_is_refused(body, message):
    with pytest.raises(RequestError) as caught:
        parse(body)
    assert message in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("body", "message"),
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
def test_invalid_predict_requests_are_refused(body, message):
    with pytest.raises(RequestError) as caught:
        inputs(body, FLOAT)
    assert message in caught.value.message


@pytest.mark.parametrize("body", [{"instances": [1]}, {"inputs": [1]}])
def test_several_inputs_need_names(body):
    with pytest.raises(RequestError, match="multiple input tensors required"):
        inputs(body, TWO)


def test_the_signature_name_must_be_a_string():
    assert signature_name({}) == ""
    assert signature_name({"signature_name": "two"}) == "two"
    with pytest.raises(RequestError, match="'signature_name' key must be a string value"):
        signature_name({"signature_name": 3})


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
    np.testing.assert_array_equal(np.float32(json.loads(text)["outputs"]), y)


def test_nan_and_infinity_are_written_as_in_tensorflow_serving():
    text = answer({"y": np.float32([np.nan, np.inf, -np.inf])}, rows=False)
    assert text == b'{"outputs":[NaN,Infinity,-Infinity]}'


def test_only_outputs_named_bytes_are_written_in_base64():
    content = np.array([b"\xff\x00"], object)
    response = json.loads(answer({"png_bytes": content, "text": content}, rows=True))
    assert response == {"predictions": [{"png_bytes": {"b64": "/wA="}, "text": "\ufffd\x00"}]}


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


def test_long_values_are_truncated_in_messages():
    assert len(brief(["x" * 10_000])) < 300
