import itertools

import keras
import numpy as np
import pytest
from contract import gradients, on_tensorflow, slopes

from dlrecipes.data.tag_schemes import SCHEMES, TagError, tag_constraints, to_bio
from dlrecipes.layers import LinearChainCRF
from dlrecipes.metrics import is_well_formed

pytestmark = pytest.mark.usefixtures("float64")

K = 3
LENGTHS = (4, 2, 1, 3)
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(4, 4, K))
TAGS = RNG.integers(0, K, (4, 4)).astype("int32")
MASK = np.arange(4) < np.array(LENGTHS)[:, None]


def make(dtype="float64", scale=1.0, num_tags=K):
    layer = LinearChainCRF(num_tags, dtype=dtype)
    layer.build((None, None, num_tags))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(scale * rng.normal(size=weight.shape))
    return layer


def path_score(layer, scores, path):
    transitions, start, end = (np.array(w, "float64") for w in layer.get_weights())
    moves = sum(transitions[a, b] for a, b in itertools.pairwise(path))
    emitted = sum(scores[t, tag] for t, tag in enumerate(path))
    return start[path[0]] + emitted + moves + end[path[-1]]


def enumerated(layer, scores):
    """All paths of one unpadded sentence, their scores and the log of the sum of exponentials."""
    paths = list(itertools.product(range(K), repeat=len(scores)))
    totals = np.array([path_score(layer, scores, path) for path in paths])
    top = totals.max()
    return np.array(paths), totals, top + np.log(np.exp(totals - top).sum())


def sentences():
    return [(i, SCORES[i, :length], TAGS[i, :length]) for i, length in enumerate(LENGTHS)]


def test_log_likelihood_equals_the_enumeration_of_all_paths():
    layer = make()
    result = np.array(layer.log_likelihood(SCORES, TAGS, MASK))
    for i, scores, tags in sentences():
        *_, log_sum = enumerated(layer, scores)
        np.testing.assert_allclose(result[i], path_score(layer, scores, tags) - log_sum, atol=1e-9)


def test_marginals_equal_the_enumeration_of_all_paths():
    layer = make()
    result = np.array(layer(SCORES, mask=MASK))
    for i, scores, _ in sentences():
        paths, totals, log_sum = enumerated(layer, scores)
        probability = np.exp(totals - log_sum)
        expected = np.array([[probability[paths[:, t] == k].sum() for k in range(K)]
                             for t in range(len(scores))])  # fmt: skip
        np.testing.assert_allclose(result[i, : len(scores)], expected, atol=1e-9)
        np.testing.assert_array_equal(result[i, len(scores) :], 0)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_decoded_path_has_the_highest_score(scale):
    layer = make(scale=scale)
    result = np.array(layer.decode(SCORES, MASK))
    assert result.dtype == np.int32
    for i, scores, _ in sentences():
        paths, totals, _ = enumerated(layer, scores)
        np.testing.assert_array_equal(result[i, : len(scores)], paths[totals.argmax()])
        np.testing.assert_array_equal(result[i, len(scores) :], 0)


def total(layer, tags=TAGS, mask=MASK):
    return lambda scores: keras.ops.sum(layer.log_likelihood(scores, tags, mask))


def test_gradients_equal_finite_differences():
    layer = make()
    exact = gradients(total(layer), SCORES, variables=layer.weights)
    numeric = slopes(total(layer), SCORES, variables=layer.weights)
    for gradient, expected in zip(exact, numeric, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_padding_influences_neither_values_nor_gradients():
    layer = make()
    scores = np.where(MASK[..., None], SCORES, np.nan)
    tags = np.where(MASK, TAGS, -1)
    values = np.array(layer.log_likelihood(scores, tags, MASK))
    marginals, decoded = np.array(layer(scores, mask=MASK)), np.array(layer.decode(scores, MASK))
    in_scores, *in_weights = gradients(total(layer, tags), scores, variables=layer.weights)
    summed = [np.zeros_like(g) for g in in_weights]
    for i, alone, alone_tags in sentences():
        alone, alone_tags, n = alone[None], alone_tags[None], len(alone)
        own = np.array(layer.log_likelihood(alone, alone_tags))
        np.testing.assert_allclose(values[i], own[0], atol=1e-12)
        np.testing.assert_allclose(marginals[i, :n], np.array(layer(alone))[0], atol=1e-12)
        np.testing.assert_array_equal(decoded[i, :n], np.array(layer.decode(alone))[0])
        own_scores, *own_weights = gradients(
            total(layer, alone_tags, None), alone, variables=layer.weights
        )
        np.testing.assert_allclose(in_scores[i, :n], own_scores[0], atol=1e-12)
        np.testing.assert_array_equal(in_scores[i, n:], 0)
        for so_far, gradient in zip(summed, own_weights, strict=True):
            so_far += gradient
    for gradient, expected in zip(in_weights, summed, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-12)


def test_a_fully_masked_sentence_has_log_likelihood_0_and_no_gradient():
    layer = make()
    mask = np.zeros_like(MASK)
    np.testing.assert_array_equal(np.array(layer.log_likelihood(SCORES, TAGS, mask)), 0)
    np.testing.assert_array_equal(np.array(layer(SCORES, mask=mask)), 0)
    np.testing.assert_array_equal(np.array(layer.decode(SCORES, mask)), 0)
    for gradient in gradients(total(layer, mask=mask), SCORES, variables=layer.weights):
        np.testing.assert_array_equal(gradient, 0)


def test_without_transitions_it_is_softmax():
    marginals = np.array(LinearChainCRF(K)(SCORES.astype("float32")))
    expected = np.exp(SCORES) / np.exp(SCORES).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(marginals, expected, atol=1e-6)


def test_float32_is_exact_while_scores_and_transitions_differ_by_less_than_80():
    layer = make("float32", scale=20.0)
    scores = (10 * SCORES).astype("float32")
    spread = np.ptp(scores, axis=-1).max() + np.ptp(np.array(layer.transitions), axis=0).max()
    assert 40 < spread < 80
    result = np.array(layer.log_likelihood(scores, TAGS, MASK))
    for i, alone, tags in sentences():
        *_, log_sum = enumerated(layer, 10 * alone)
        expected = path_score(layer, 10 * alone, tags) - log_sum
        np.testing.assert_allclose(result[i], expected, rtol=1e-5, atol=1e-4)


def test_huge_scores_and_forbidden_transitions_keep_values_exact_and_gradients_finite():
    layer = make("float32")
    transitions = np.array(layer.transitions)
    transitions[0, 1] = -1e4
    layer.transitions.assign(transitions)
    scores = (SCORES + 1e3).astype("float32")
    values = np.array(layer.log_likelihood(scores, np.zeros_like(TAGS), MASK))
    for i, alone, tags in sentences():
        *_, log_sum = enumerated(layer, alone)
        expected = path_score(layer, alone, 0 * tags) - log_sum
        np.testing.assert_allclose(values[i], expected, atol=2e-3)
    for gradient in gradients(total(layer), 100 * scores, variables=layer.weights):
        assert np.isfinite(gradient).all()


def test_mixed_precision_computes_in_float32():
    exact, mixed = make("float32"), make("mixed_bfloat16")
    scores = SCORES.astype("float32")
    marginals = mixed(scores, mask=MASK)
    assert keras.backend.standardize_dtype(marginals.dtype) == "float32"
    np.testing.assert_allclose(np.array(marginals), np.array(exact(scores, mask=MASK)), atol=1e-6)


def test_mask_of_the_embedding_is_used():
    layer = make("float32")
    ids = np.where(MASK, TAGS + 1, 0)
    embedded = keras.layers.Embedding(K + 1, K, mask_zero=True)(ids)
    expected = np.array(layer(np.array(embedded), mask=MASK))
    np.testing.assert_allclose(np.array(layer(embedded)), expected, atol=1e-6)


def signature():
    import tensorflow as tf

    return [tf.TensorSpec((None, None, K), "float32"), tf.TensorSpec((None, None), "bool")]


@on_tensorflow
def test_exported_decode_supports_any_batch_and_time(tmp_path):
    import tensorflow as tf

    layer = make("float32")
    archive = keras.export.ExportArchive()
    archive.track(layer)
    archive.add_endpoint("decode", layer.decode, input_signature=signature())
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for batch, time in ((4, 4), (2, 3), (1, 1)):
        scores, mask = SCORES[:batch, :time].astype("float32"), MASK[:batch, :time]
        expected = np.array(layer.decode(scores, mask))
        np.testing.assert_array_equal(np.array(served.decode(scores, mask)), expected)


@on_tensorflow
def test_likelihood_is_traced_once_for_any_batch_and_time():
    import tensorflow as tf

    layer = make("float32")

    @tf.function(input_signature=[*signature(), tf.TensorSpec((None, None), "int32")])
    def value_and_gradient(scores, mask, tags):
        with tf.GradientTape() as tape:
            value = layer.log_likelihood(scores, tags, mask)
        return value, tf.convert_to_tensor(tape.gradient(value, layer.transitions.value))

    for batch, time in ((4, 4), (2, 3), (1, 1)):
        scores, mask = SCORES[:batch, :time].astype("float32"), MASK[:batch, :time]
        tags = TAGS[:batch, :time]
        value, gradient = value_and_gradient(scores, mask, tags)
        expected = np.array(layer.log_likelihood(scores, tags, mask))
        np.testing.assert_allclose(np.array(value), expected, atol=1e-5)
        _, expected = gradients(total(layer, tags, mask), scores, variables=[layer.transitions])
        np.testing.assert_allclose(np.array(gradient), expected, atol=1e-5)


@on_tensorflow
@pytest.mark.parametrize(
    ("method", "constraints"),
    [
        ("__call__", {}),
        ("decode", {}),
        ("decode", {"forbidden": [(0, 1)], "forbidden_start": [1], "forbidden_end": [2]}),
    ],
)
def test_litert_agrees_for_any_length_with_built_in_operations(method, constraints):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.python.framework import convert_to_constants

    layer = LinearChainCRF(K, dtype="float32", **constraints)
    layer.build((None, None, K))
    layer.set_weights(make().get_weights())
    compute = getattr(layer, method)
    traced = tf.function(lambda scores: compute(scores))
    concrete = traced.get_concrete_function(tf.TensorSpec((1, None, K), "float32"))
    frozen = convert_to_constants.convert_variables_to_constants_v2(concrete)
    # Without Flex among its supported operations, the converter accepts only built-in ones.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    interpreter = Interpreter(model_content=converter.convert())
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    for time in (1, 2, 4, 3):
        scores = SCORES[:1, :time].astype("float32")
        interpreter.resize_tensor_input(source, scores.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, scores)
        interpreter.invoke()
        result = interpreter.get_tensor(target)
        np.testing.assert_allclose(result, np.array(compute(scores)), atol=1e-6)


@pytest.mark.parametrize("num_tags", [0, -2, 2.5, None])
def test_invalid_number_of_tags_raises(num_tags):
    with pytest.raises(ValueError, match="num_tags must be"):
        LinearChainCRF(num_tags)


def test_scores_for_another_number_of_tags_raise():
    with pytest.raises(ValueError, match=r"num_tags = 4, not \(\w+, \w+, 3\)"):
        LinearChainCRF(4)(SCORES)


def test_forbidden_transitions_are_never_decoded_and_have_negligible_probability():
    free = make()
    restricted = LinearChainCRF(K, forbidden=[(0, 2), (1, 2)], forbidden_start=[2], dtype="float64")
    restricted.build((None, None, K))
    restricted.set_weights(free.get_weights())
    decoded = np.array(restricted.decode(SCORES, MASK))
    likelihood = np.array(restricted.log_likelihood(SCORES, TAGS, MASK))
    for i, scores, tags in sentences():
        paths, totals, _ = enumerated(free, scores)
        # With these transitions forbidden, tag 2 is unreachable.
        allowed = (paths != 2).all(axis=1)
        best = paths[allowed][totals[allowed].argmax()]
        np.testing.assert_array_equal(decoded[i, : len(scores)], best)
        if (tags != 2).all():
            expected = path_score(free, scores, tags) - np.log(np.exp(totals[allowed]).sum())
            np.testing.assert_allclose(likelihood[i], expected, atol=1e-9)
        else:
            assert likelihood[i] < -20


@pytest.mark.parametrize("scheme", ["BIO", "IOBES"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_decoding_returns_the_best_sequence_that_the_scheme_allows(scheme, scale):
    names = ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b")
    names = [tag for tag in names if tag[0] in f"O{SCHEMES[scheme]}"]
    layer = LinearChainCRF(len(names), dtype="float32", **tag_constraints(names, scheme))
    layer.build((None, None, len(names)))
    rng = np.random.default_rng(2)
    # Also where the scores outweigh any penalty that training could stand.
    layer.set_weights([scale * rng.normal(size=weight.shape) for weight in layer.get_weights()])
    scores = (scale * rng.normal(size=(6, 4, len(names)))).astype("float32")
    lengths = [4, 4, 4, 3, 2, 1]
    decoded = np.array(layer.decode(scores, np.arange(4) < np.array(lengths)[:, None]))
    unrestricted = 0
    for sentence, tags, length in zip(scores, decoded, lengths, strict=True):
        paths = list(itertools.product(range(len(names)), repeat=length))
        totals = np.array([path_score(layer, sentence, path) for path in paths])
        allowed = [is_allowed([names[tag] for tag in path], scheme) for path in paths]
        best = paths[np.where(allowed, totals, -np.inf).argmax()]
        assert tuple(tags[:length]) == best
        unrestricted += best == paths[totals.argmax()]
    assert unrestricted < 6, "the constraints matter"


def is_allowed(tags, scheme):
    if scheme == "BIO":
        return is_well_formed(tags)
    try:
        to_bio(tags, scheme)
    except TagError:
        return False
    return True


def test_masks_forbid_the_same_as_lists():
    pairs = LinearChainCRF(3, forbidden=[(0, 2)], forbidden_start=[2], forbidden_end=[1])
    mask = np.zeros((3, 3), bool)
    mask[0, 2] = True
    masks = LinearChainCRF(
        3, forbidden=mask, forbidden_start=[False, False, True], forbidden_end=mask[0] != mask[0]
    )
    scores = 100 * SCORES.astype("float32")
    assert not np.array_equal(pairs.decode(scores)[:, -1], masks.decode(scores)[:, -1])
    masks = LinearChainCRF(
        3, forbidden=mask, forbidden_start=mask[0], forbidden_end=[False, True, False]
    )
    np.testing.assert_array_equal(np.array(pairs.decode(scores)), np.array(masks.decode(scores)))
    again = LinearChainCRF.from_config(masks.get_config())
    np.testing.assert_array_equal(np.array(again.decode(scores)), np.array(masks.decode(scores)))


def test_forbidden_ends_have_negligible_probability():
    free, restricted = make(), LinearChainCRF(K, forbidden_end=[1], dtype="float64")
    restricted.build((None, None, K))
    restricted.set_weights(free.get_weights())
    marginals = np.array(restricted(SCORES, mask=MASK))
    for i, scores, _ in sentences():
        paths, totals, _ = enumerated(free, scores)
        allowed = paths[:, -1] != 1
        weights = np.where(allowed, np.exp(totals - totals.max()), 0)
        expected = [(weights / weights.sum())[paths[:, -1] == k].sum() for k in range(K)]
        np.testing.assert_allclose(marginals[i, len(scores) - 1], expected, atol=1e-9)


def test_forbidden_tags_out_of_range_raise():
    with pytest.raises(ValueError, match=r"in \[0, 3\)"):
        LinearChainCRF(3, forbidden=[(0, 3)])


@pytest.mark.parametrize("method", ["__call__", "decode", "log_likelihood"])
@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 3)])
def test_scores_of_another_shape_raise_after_building(method, shape):
    layer = LinearChainCRF(4)
    layer.build((None, None, 4))
    tags = [np.zeros(shape[:2], "int32")] if method == "log_likelihood" else []
    with pytest.raises(ValueError, match=r"scores must be of shape \(batch, time, num_tags\)"):
        getattr(layer, method)(np.zeros(shape, "float32"), *tags)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"forbidden": (0, 1)}, r"forbidden must be pairs of tags, not \(0, 1\)"),
        ({"forbidden": 1}, "forbidden must be pairs of tags, not 1"),
        ({"forbidden": [("a", "b")]}, "forbidden tags must be integers"),
        ({"forbidden_start": 1}, "forbidden_start must be a list of tags, not 1"),
        ({"forbidden_end": 1}, "forbidden_end must be a list of tags, not 1"),
        ({"forbidden_end": [4]}, r"forbidden tags must be integers in \[0, 4\)"),
        ({"forbidden": np.eye(3) > 0}, r"forbidden must be a mask of shape \(4, 4\), not \(3, 3\)"),
        ({"forbidden_end": [True]}, r"forbidden_end must be a mask of shape \(4,\), not \(1,\)"),
        ({"forbidden_start": [0.5]}, "forbidden tags must be integers"),
    ],
)
def test_malformed_forbidden_tags_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LinearChainCRF(4, **kwargs)
