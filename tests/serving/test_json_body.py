"""JSON bodies to arrays, by TensorFlow Serving's documentation."""

import base64
import contextlib
import json
import time

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from dlrecipes.serving.json_body import inputs, parse, signature_name
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
            assert to_array([{"b64": text}], "string").tolist() == [content]


def test_nan_and_infinity_are_parsed():
    array = to_array(parse(b'{"x": [NaN, Infinity, -Infinity]}')["x"], "float32")
    assert np.isnan(array[0])
    assert array[1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("int32", [[1, -2]], np.int32([[1, -2]])),
        ("int64", 2**62, np.int64(2**62)),
        ("uint8", [255, 0], np.uint8([255, 0])),
        ("uint64", [2**64 - 1], np.uint64([2**64 - 1])),
        ("bool", [True, False], np.array([True, False])),
        ("float64", [0.1, 2**53 - 1], np.float64([0.1, 2**53 - 1])),
        ("float16", [0.5, 2047], np.float16([0.5, 2047])),
        # The example of TensorFlow Serving's documentation, and the first integers that a type
        # with 24, 53 and 11 bits of precision cannot represent: halves round to even.
        ("float32", [1435774380, 2**24 + 1], np.float32([1435774336, 2**24])),
        ("float64", [2**53 + 1], np.float64([2**53])),
        ("float16", [2049, -2049], np.float16([2048, -2048])),
        ("float32", [], np.zeros(0, "float32")),
        ("float32", [[], []], np.zeros((2, 0), "float32")),
    ],
)
def test_values_are_converted_to_each_type(dtype, value, expected):
    array = to_array(value, dtype)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float32", ["a"], 'JSON Value: "a" Type: String is not of expected type: float'),
        ("float32", [None], "JSON Value: null Type: Null is not of expected type: float"),
        ("float32", [True], "JSON Value: true Type: True is not of expected type: float"),
        ("float32", [{"b64": "AA"}], "Type: Object is not of expected type: float"),
        ("float32", [10**39], f"Cannot convert JSON value: {10**39} to float without loss"),
        ("float32", [1e300], "without loss of precision"),
        ("float16", [65505], "Cannot convert JSON value: 65505 to half without loss"),
        ("float64", [10**400], "to double without loss of precision"),
        ("int32", [1.0], "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("int32", [2**31], "is not of expected type: int32"),
        ("uint8", [-1], "is not of expected type: uint8"),
        ("bool", [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("string", [1], "JSON Value: 1 Type: Number is not of expected type: string"),
        ("string", [{"b65": "AA"}], "not formatted correctly for base64 data"),
        ("string", [{"b64": "AA", "x": 1}], "not formatted correctly for base64 data"),
        ("string", [{"b64": "!"}], "Unable to base64 decode"),
        ("string", [{"b64": "ü"}], "Unable to base64 decode"),
        ("string", ["\ud800"], "unpaired surrogate"),
        ("float32", [[1], [1, 2]], "unexpected size: 2 at level: 1 expected size: 1"),
        ("float32", [[1], 2], "JSON Value: 2 found at incorrect level: 2"),
        ("float32", [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ("complex64", [1], "to type: complex64"),
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
        to_array(value, "float32")


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
        (b'{"x": ' + b"[" * 1100 + b"]" * 1100 + b"}", "nested too deeply"),
        (b'{"x": ' + b"[" * 1100 + b"NaN" + b"]" * 1100 + b"}", "nested too deeply"),
        # Positions are those in the body, even if numbers that are not finite come first.
        (b'{"x": [Inf, y]}', "at offset: 12"),
        (b'\xef\xbb\xbf{"x": [y]}', "at offset: 7"),
        (b'{"x": [NaN, "\xff"]}', "Invalid encoding in string. at offset: 13"),
        (b'{"x": [NaN, 1e999]}', "Number too big to be stored in double. at offset: 12"),
        (b'{"x": ["\\ud800"]}', "surrogate"),
        (b'{"x": ["\\ud800", NaN]}', "surrogate"),
    ],
)
def test_invalid_json_is_refused(body, message):
    with pytest.raises(RequestError) as caught:
        parse(body)
    assert message in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "token",
    [
        *("nan", "inf", "infinity", "+Inf", "--Inf", "Infinit", "Infi", "NaNs", "Na", "- Inf", "-"),
        *("1NaN", "NaN1", "1eNaN", "1.NaN", "NaNNaN", "Inf-Inf", "0Inf", "Inf.0", "InfinityInf"),
        *('"Inf', 'Inf"', "\\Inf", '\\"Inf"', '"a"Inf', "Inf,", "Inf:1", "[Inf"),
    ],
)
def test_other_spellings_of_nan_and_infinity_are_refused(token):
    with pytest.raises(RequestError, match=r"JSON Parse error: .* at offset: "):
        parse(f'{{"x": [1, {token}]}}'.encode())
    # Such a body is refused next to a valid number as well.
    with pytest.raises(RequestError, match=r"JSON Parse error: .* at offset: "):
        parse(f'{{"y": -Infinity, "x": [1, {token}]}}'.encode())


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (f"{2**64 - 1}", 2**64 - 1),
        (f"{-(2**63)}", -(2**63)),
        # RapidJSON reads integers beyond 64 bits as doubles.
        (f"{2**64}", 2.0**64),
        (f"{-(2**63) - 1}", -(2.0**63)),
        ("1" + "0" * 300, 1e300),
        ("0.1", 0.1),
        ("-0", 0),
        ("-0.0", -0.0),
        ("1e-400", 0.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
@pytest.mark.parametrize("other", ["1", "NaN"])
def test_numbers_are_read_the_same_with_and_without_nan(number, expected, other):
    value = parse(f'{{"x": [{number}, {other}]}}'.encode())["x"][0]
    assert (repr(value), type(value)) == (repr(expected), type(expected))


@pytest.mark.parametrize("other", ["1", "Inf"])
def test_the_last_of_equal_keys_counts(other):
    assert parse(f'{{"x": 1, "x": 2, "y": {other}}}'.encode())["x"] == 2


characters = st.text(alphabet='"\\ ,:[]{}NaInfity-üé\n\x00')
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | characters,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(characters, inner, max_size=4),
    max_leaves=12,
)


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
@hypothesis.given(values, st.booleans(), st.booleans())
def test_values_are_read_as_python_reads_them(value, ascii, abbreviated):
    text = json.dumps({"x": value}, ensure_ascii=ascii)
    expected = repr(json.loads(text))
    assert repr(parse(text.encode())) == expected
    if abbreviated and "Infinity" in text and '"' not in text[4:]:
        assert repr(parse(text.replace("Infinity", "Inf").encode())) == expected


def seconds_to_parse(body):
    began = time.thread_time()
    with contextlib.suppress(RequestError):
        parse(body)
    return time.thread_time() - began


@pytest.mark.parametrize("size", [40_000, 400_000])
def test_an_unclosed_string_of_escaped_quotes_takes_linear_time(size):
    body = b'{"instances": [Inf], "x": "' + b'\\"' * (size // 2)
    # 28 s for the smaller body with a regular expression that tries again at each quote.
    assert seconds_to_parse(body) < 0.2


fragments = st.sampled_from(
    [
        *(
            b'"',
            b'\\"',
            b"\\",
            b"\\\\",
            b"Inf",
            b"NaN",
            b"-Infinity",
            b"-",
            b"N",
            b"I",
            b"1",
            b"9" * 18,
        ),
        *(
            b"0.1",
            b"1e",
            b"[",
            b"]",
            b"[]",
            b"{",
            b"}",
            b",",
            b":",
            b" ",
            b'"a":',
            b"\n",
            b"\\u0000",
        ),
        *(b"\\ud800", b"\xff", "ü".encode(), b"\x00", b"null"),
    ]
)


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)
@hypothesis.given(
    st.lists(fragments, max_size=6), st.lists(fragments, min_size=1, max_size=5), st.booleans()
)
def test_the_time_per_byte_is_bounded_for_any_body(head, unit, with_infinity):
    start = b'{"x": ' + (b"[Inf, " if with_infinity else b"") + b"".join(head)
    repeated = b"".join(unit)
    body = start + repeated * (40_000 // len(repeated))
    # At most 2 us per byte, which is ten times what the slowest bodies take.
    assert seconds_to_parse(body) < 2e-6 * len(body)


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


def test_long_values_are_truncated_in_messages():
    assert len(brief(["x" * 10_000])) < 300
    began = time.thread_time()
    assert brief([[0.123456789]] * 1_000_000).startswith("[[0.123456789], [0.1")
    assert time.thread_time() - began < 0.05
