"""What every public model builder must be able to do, one case or more a builder."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes import models


class Case(NamedTuple):
    """A builder, its arguments, the names of what it reads and gives, and inputs for it."""

    builder: str
    kwargs: dict | Callable[[], dict]
    inputs: Callable[[int, int], dict[str, np.ndarray]]
    outputs: tuple[str, ...]


def sentences(words: int, ngrams: int = 0):
    """Ids of sentences padded to `time`, the last of them half as long."""

    def make(batch: int, time: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        ids = rng.integers(1, words, (batch, time)).astype("int32")
        ids[-1, -(time // 2) or time :] = 0
        grams = rng.integers(1, max(ngrams, 2), (batch, time, 3)).astype("int32")
        return {"words": ids} | ({"ngrams": grams * (ids[..., None] != 0)} if ngrams else {})

    return make


SMALL = {"num_words": 7, "num_tags": 4, "units": 3, "word_units": 3, "seed": 1}
CASES = {
    "tagger": Case("tagger", SMALL, sentences(7), ("tags",)),
    "tagger-with-all": Case(
        "tagger",
        {
            **SMALL,
            "num_ngrams": 6,
            "num_intents": 2,
            "encoding": ("one_of_n", "hashing", "embedding"),
            "ngram_units": 3,
            "cell": "peephole_lstm",
            "depth": 2,
            "context": 1,
            "word_dropout": 0.2,
        },
        sentences(7, 6),
        ("tags", "intent"),
    ),
    **{
        f"tagger-{cell}": Case(
            "tagger", {**SMALL, "num_intents": 2, "cell": cell}, sentences(7), ("tags", "intent")
        )
        for cell in ("feed_forward", "elman", "jordan", "gru")
    },
}

CASES["ensemble"] = Case(
    "ensemble",
    lambda: {"networks": [models.tagger(**{**SMALL, "name": name}) for name in ("one", "two")]},
    sentences(7),
    ("tags",),
)

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def build(case: Case) -> keras.Model:
    kwargs = case.kwargs() if callable(case.kwargs) else case.kwargs
    return getattr(models, case.builder)(**kwargs)


def symbolic_shapes(model: keras.Model) -> dict[str, tuple]:
    outputs = model({tensor.name: tensor for tensor in model.inputs})
    return {name: tensor.shape for name, tensor in outputs.items()}


def as_numpy(outputs) -> dict[str, np.ndarray]:
    return {name: np.array(keras.ops.cast(y, "float32")) for name, y in outputs.items()}


def assert_equal(ours, theirs, **tolerance):
    ours, theirs = as_numpy(ours), as_numpy(theirs)
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name, **tolerance)


def test_every_public_builder_has_a_case():
    assert {case.builder for case in CASES.values()} == set(models.__all__)


@each_case
def test_builder_gives_an_uncompiled_model_with_names(case):
    model = build(case)
    assert isinstance(model, keras.Model)
    assert not model.compiled
    assert model.name == inspect.signature(getattr(models, case.builder)).parameters["name"].default
    assert {tensor.name for tensor in model.inputs} == set(case.inputs(1, 1))
    assert set(symbolic_shapes(model)) == set(case.outputs)


@each_case
def test_batch_and_time_may_be_unknown_and_sentences_do_not_mix(case):
    model = build(case)
    for batch, time in ((2, 5), (3, 7), (1, 1)):
        x = case.inputs(batch, time)
        y = as_numpy(model(x))
        for name, shape in symbolic_shapes(model).items():
            assert None not in shape[2:]
            expected = (batch, time, *shape[2:]) if shape[1] is None else (batch, *shape[1:])
            assert y[name].shape == expected
        first = model({name: value[:1] for name, value in x.items()})
        assert_equal(first, {name: value[:1] for name, value in y.items()}, atol=1e-6)


@each_case
def test_reloaded_keras_file_gives_equal_outputs(case, tmp_path):
    model = build(case)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = case.inputs(3, 5)
    assert_equal(again(x), model(x), atol=0, rtol=0)


@each_case
def test_exported_saved_model_gives_equal_outputs(case, tmp_path):
    model = build(case)
    model.export(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for batch, time in ((2, 5), (3, 7)):
        x = case.inputs(batch, time)
        assert_equal(served.serve(x), model(x), atol=1e-5)


@each_case
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(case):
    exact = build(case)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build(case)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {layer.compute_dtype for layer in mixed.layers if layer.weights} == {"bfloat16"}
    mixed.set_weights(exact.get_weights())
    x = case.inputs(3, 5)
    # bfloat16 has 8 bits of precision.
    assert_equal(mixed(x), exact(x), atol=0.05)


@each_case
def test_every_weight_receives_a_finite_gradient(case, assert_every_weight_learns):
    model = build(case)
    x = case.inputs(3, 5)

    def loss():
        rng = np.random.default_rng(1)
        outputs = model(x, training=True)
        upstream = {name: rng.normal(size=y.shape).astype("float32") for name, y in outputs.items()}
        return sum(keras.ops.sum(y * upstream[name]) for name, y in outputs.items())

    assert_every_weight_learns(model, loss)


@pytest.mark.parametrize("name", models.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(models, name), sections)
