"""Slot filling from data to predictions, on small data; tests of minutes are slow."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes import runner
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.precision import other_precisions
from dlrecipes.export.verification import DEFAULT
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

SMALL = {
    "examples": 150,
    "units": 8,
    "word_units": 8,
    "ngram_units": 8,
    "epochs": 1,
    "min_steps_per_epoch": 1,
}
ATIS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "atis"
needs_atis = pytest.mark.skipif(not ATIS.is_dir(), reason="needs ../shared/data/atis")


def recipe(**settings):
    source = registry.find("slot_filling")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def run(task, folder):
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


def write_conll(path, sentences):
    path.write_text(
        "\n\n".join("\n".join(f"{w} {t}" for w, t in sentence) for sentence in sentences) + "\n"
    )


def module(name):
    return registry.find("slot_filling")._module(name)


class FakeVersion:
    """A published version whose serving function is a function of the test."""

    def __init__(self, function):
        self.call = lambda sentences: {k: np.asarray(v) for k, v in function(sentences).items()}


def litert_inputs(folder, sentence: TaggedSentence):
    """Returns the inputs that an application makes with the files of a version alone."""
    lists = {p.stem: p.read_text().splitlines() for p in (folder / "assets.extra").glob("*.txt")}
    ids = {word: number for number, word in enumerate(lists["words"])}
    grams = {gram: number for number, gram in enumerate(lists["ngrams"])}
    fold = str.maketrans("0123456789", "0000000000")
    words = [token.lower().translate(fold) for token in sentence.tokens]
    rows = [[grams.get(f"#{w}#"[i : i + 3], 1) for i in range(len(w))] or [1] for w in words]
    width = max(map(len, rows))
    return {
        "words": np.array([[ids.get(word, 1) for word in words]], np.int32),
        "ngrams": np.array([[row + [0] * (width - len(row)) for row in rows]], np.int32),
    }


def litert_tags(folder, sentence: TaggedSentence):
    outputs = LiteRTModel(folder / "model.tflite")(**litert_inputs(folder, sentence))
    names = (folder / "assets.extra" / "tags.txt").read_text().splitlines()
    return [names[number] for number in outputs["tags"][0]]


def predict_sentences(folder, sentences):
    texts = [" ".join(sentence.tokens) for sentence in sentences]
    return module("predict").predict(ModelVersion(folder), texts)


@functools.cache
def serving(folder):
    """Returns the default signature of a version, which is loaded only once."""
    return ModelVersion(folder).function()


def saved_model_tags(folder, sentences):
    call = serving(folder)
    rows = call(sentences=tf.constant([" ".join(s.tokens) for s in sentences]))["tags"].numpy()
    return [[t.decode() for t in row if t] for row in rows.tolist()]


def reject_half(task, model, splits):
    """Sets the threshold between the probabilities of the validation sentences' intents."""
    tokens = tf.ragged.constant([list(s.tokens) for s in splits.validation]).to_tensor("")
    model.intent_threshold = float(np.median(model.tag_tokens(tokens)["intent_probability"]))


@pytest.mark.parametrize("language", ["english", pytest.param("chinese", marks=pytest.mark.slow)])
def test_every_published_file_gives_the_tags_and_intents_of_the_keras_model(
    tmp_path, language, unknown_names, monkeypatch
):
    task = recipe(language=language)
    monkeypatch.setattr(type(task), "set_thresholds", reject_half)
    folder = run(task, tmp_path).version.folder
    test = task.load_data().test[:60]
    model = ModelVersion(folder).keras_model()
    outputs = model.tag_tokens(module("data").pad([s.tokens for s in test]))
    rows = zip(outputs["tags"].numpy(), test, strict=True)
    keras_tags = [[t.decode() for t in row[: len(s.tokens)]] for row, s in rows]
    assert saved_model_tags(folder, test) == keras_tags
    assert [litert_tags(folder, s) for s in test] == keras_tags
    intents = [intent.decode() for intent in outputs["intent"].numpy()]
    assert 0 < intents.count("none") < len(intents)
    assert saved_model_intents(folder, test) == intents
    assert [litert_intent(folder, s) for s in test] == intents
    assert [prediction["intent"] for prediction in predict_sentences(folder, test)] == intents
    assert f"at least {model.intent_threshold:.3f}" in (folder / "README.md").read_text()
    # The card and the README name what the graphs have.
    assert unknown_names(folder, "slot_filling") == set()


def saved_model_intents(folder, sentences):
    rows = serving(folder)(sentences=tf.constant([" ".join(s.tokens) for s in sentences]))
    return [intent.decode() for intent in rows["intent"].numpy()]


def litert_intent(folder, sentence):
    model = LiteRTModel(folder / "model.tflite")
    names = (folder / "assets.extra" / "intents.txt").read_text().splitlines()
    return names[int(model(**litert_inputs(folder, sentence))["intent"][0])]


def test_words_that_are_encoded_once_give_the_ids_of_whole_sentences():
    task = recipe()
    splits = task.load_data()
    model, sentences = task.build(splits), splits.validation[:20]
    rows, _, lengths, encodings = module("data").to_arrays(model, sentences)
    together = model.encoder(module("data").pad([s.tokens for s in sentences]))
    assert lengths.tolist() == [len(s.tokens) for s in sentences]
    for name in model.input_names:
        np.testing.assert_array_equal(encodings[name][rows], together[name])


def test_litert_inputs_are_those_of_each_sentence_alone(monkeypatch):
    source = module("recipe")
    monkeypatch.setattr(source, "EVALUATION_BATCH", 3)
    task = recipe()
    splits = task.load_data()
    model = task.build(splits)
    sentences = splits.test[:7]
    for ids, sentence in zip(source._ids(model, sentences), sentences, strict=True):
        alone = model.encoder(tf.constant([sentence.tokens]))
        for name, own in zip(model.input_names, ids, strict=True):
            np.testing.assert_array_equal(own, alone[name])


def test_the_first_test_sentences_verify_functions_in_float32(monkeypatch):
    source = module("recipe")
    monkeypatch.setattr(source, "VERIFIED", 5)
    # As the runner builds a network to export it.
    task = recipe(precision="float32")
    splits = task.load_data()
    exports = task.signatures(task.build(splits), splits)
    first, empty = (example[0].tolist() for example in exports.signatures[DEFAULT].examples)
    assert first == [" ".join(s.tokens) for s in splits.test[:5]]
    assert empty == [""]
    assert len(exports.litert.examples) == 5
    # In float32 alone: otherwise the graph is converted once more for LiteRT.
    assert other_precisions(exports.litert.traced) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("fare", "O B-to"), ("none", "O O")], False),
        ([("fare", "O B-to"), ("none", "O B-to"), ("none", "O O")], True),
        ([("fare", "O B-to")], True),
        ([(None, "O B-to")], True),
    ],
)
def test_sentences_of_no_intent_may_have_slots_if_one_of_training_has(rows, expected):
    sentences = [TaggedSentence(("to", "Rome"), tuple(tags.split()), name) for name, tags in rows]
    assert module("data").none_has_slots(sentences) is expected


def test_the_threshold_is_chosen_on_validation_alone():
    task = recipe(examples=300)
    splits = task.load_data()
    model = task.build(splits)
    task.set_thresholds(model, replace(splits, test=[]))
    truth = np.array([s.intent for s in splits.validation])
    chosen = model.intent_threshold

    def accuracy(threshold):
        model.intent_threshold = threshold
        tokens = tf.ragged.constant([list(s.tokens) for s in splits.validation]).to_tensor("")
        intents = [i.decode() for i in model.tag_tokens(tokens)["intent"].numpy()]
        known = truth != "none"
        return np.mean(intents == truth), np.mean((intents == truth)[known])

    (before, known_before), (after, known_after) = accuracy(0.0), accuracy(chosen)
    assert after >= before
    assert known_after >= known_before - 0.005


def test_data_without_the_intent_none_have_no_threshold():
    task = recipe(other=0)
    splits = task.load_data()
    model = task.build(splits)
    task.set_thresholds(model, splits)
    assert model.intent_threshold == 0
    assert task.describe(model, splits) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"encoding": "one_of_n", "cell": "jordan", "output": "softmax"},
        {"encoding": "hashing", "cell": "elman", "bidirectional": False, "context": 1},
        {"cell": "peephole_lstm", "depth": 2},
        {"cell": "gru", "encoding": "one_of_n,hashing,embedding"},
        {"cell": "feed_forward", "encoding": "embedding", "context": 2},
    ],
)
def test_each_network_and_encoding_can_be_published(tmp_path, settings):
    # Publishing compares every file with the model on every test sentence.
    result = run(recipe(**settings), tmp_path)
    assert (result.version.folder / "model.tflite").stat().st_size > 1000


@pytest.mark.slow
def test_data_without_intents_gives_a_model_without_intents(tmp_path, capsys):
    sentences = [[("to", "O"), ("Rome", "B-city")], [("from", "O"), ("Oslo", "B-city")]] * 20
    write_conll(tmp_path / "data.conll", sentences)
    result = run(recipe(data=str(tmp_path / "data.conll")), tmp_path)
    assert "Note: " in (printed := capsys.readouterr().err)
    assert "validation and test are split off, 4 of 40 sentences each" in printed
    assert "intent_accuracy" not in result.metrics["test"]
    assert "intent" not in ModelVersion(result.version.folder).function().structured_outputs


def test_the_error_for_a_wrong_line_names_file_and_line(tmp_path):
    (tmp_path / "seq.in").write_text("to Rome\nto Oslo now\n")
    (tmp_path / "seq.out").write_text("O B-city\nO B-city\n")
    with pytest.raises(DataError, match=r"seq\.out:2.*2.*3|seq\.out:2.*3.*2"):
        recipe(data=str(tmp_path)).load_data()


@pytest.mark.parametrize("setting", ["language", "examples", "other"])
def test_settings_of_the_built_in_data_have_no_effect_on_other_data(setting):
    config = registry.find("slot_filling").config()
    assert setting in config(data="sentences.txt").without_effect()
    assert setting not in config().without_effect()


def test_tfds_datasets_are_rejected_with_a_hint():
    with pytest.raises(UsageError, match="builtin"):
        recipe(data="tfds:atis").load_data()


def test_tokens_are_joined_as_in_written_text():
    join = module("predict").join
    assert join(["leave", "Rome", ",", "please", "."]) == "leave Rome, please."
    assert join(["从", "北", "京", "飞", "11", "月"]) == "从北京飞11月"


def test_a_printed_prediction_shows_slots_probabilities_and_intent():
    def serve(sentences):
        return {
            "tokens": [[b"to", b"New", b"York", b""]],
            "tags": [[b"O", b"B-city", b"I-city", b""]],
            "probabilities": [[1.0, 0.9, 0.75, 0.0]],
            "intent": [b"fly"],
            "intent_probability": [0.5],
        }

    task = recipe()
    (prediction,) = task.predict(FakeVersion(serve), ["to New York"])
    city = {"slot": "city", "text": "New York", "start": 1, "end": 3, "probability": 0.75}
    assert json.loads(json.dumps(prediction)) == {
        "tokens": ["to", "New", "York"],
        "tags": ["O", "B-city", "I-city"],
        "slots": [city],
        "intent": "fly",
        "intent_probability": 0.5,
    }
    text = task.present(prediction)
    assert text == "to [New York](city)\n  city    0.75  New York\n  intent  0.50  fly"


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_the_error_for_an_empty_sentence_contains_its_number(blank):
    with pytest.raises(UsageError, match="Sentence 2"):
        recipe().predict(None, ["to Rome", blank])


@pytest.mark.slow
def test_memory_adds_at_least_five_points_of_span_f1(tmp_path):
    full = {"examples": 4000, "units": 128, "word_units": 100, "ngram_units": 100, "epochs": 14}
    recurrent = run(recipe(**full), tmp_path / "a").metrics["test"]["span_f1"]
    alone = recipe(**full, cell="feed_forward", context=0)
    memoryless = run(alone, tmp_path / "b").metrics["test"]["span_f1"]
    assert recurrent >= 0.97
    assert recurrent - memoryless >= 0.05


@pytest.mark.slow
@needs_atis
def test_every_published_file_gives_the_same_tags_on_atis(tmp_path):
    task = recipe(data=str(ATIS), units=64, epochs=3)
    result = run(task, tmp_path)
    test = task.load_data().test
    model = ModelVersion(result.version.folder).keras_model()
    tags = saved_model_tags(result.version.folder, test)
    assert [litert_tags(result.version.folder, s) for s in test] == tags
    pad = tf.ragged.constant([list(s.tokens) for s in test]).to_tensor("")
    keras_rows = model.tag_tokens(pad)["tags"].numpy().tolist()
    assert [[t.decode() for t in row if t] for row in keras_rows] == tags
    published = json.loads((result.folder / "metrics.json").read_text())["test"]["span_f1"]
    from seqeval.metrics import f1_score

    assert published == pytest.approx(f1_score([list(s.tags) for s in test], tags))


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [("loss", "min"), pytest.param("span_f1", "max", marks=pytest.mark.slow)],
)
def test_the_monitored_metric_chooses_the_best_epoch(tmp_path, monitor, mode):
    task = recipe(monitor=monitor, epochs=3, learning_rate=0.02, cell="feed_forward")
    assert (task.monitor, task.mode) == (f"val_{monitor}", mode)
    _, _, checkpoints, metrics = runner.train(task, tmp_path)
    scores = [logs[f"val_{monitor}"] for logs in checkpoints.history]
    best = max(scores) if mode == "max" else min(scores)
    assert metrics["best_epoch"] == scores.index(best) + 1


@pytest.mark.slow
def test_words_that_look_like_formulas_are_drawn_unchanged(tmp_path, capsys):
    odd = ["$_$", "a$b^$", "\\foo", "$$"]
    sentences = [[(word, "B-$_$"), ("x", "O")] for word in odd * 15]
    write_conll(tmp_path / "odd.conll", sentences)
    result = run(recipe(data=str(tmp_path / "odd.conll")), tmp_path)
    assert "could not be drawn" not in capsys.readouterr().err
    assert len(list((result.folder / "figures").glob("*.png"))) == 4


def test_intent_accuracy_counts_only_sentences_with_an_intent():
    task = recipe()
    splits = task.load_data()
    model = task.build(splits)
    bare = [TaggedSentence(s.tokens, s.tags) for s in splits.test[:8]]

    def evaluated(test):
        return task.evaluate(model, replace(splits, test=test), "test")

    assert "intent_accuracy" not in evaluated(bare)
    labelled = evaluated(splits.test[:8])["intent_accuracy"]
    assert evaluated([*bare, *splits.test[:8]])["intent_accuracy"] == labelled


def test_an_extremely_long_sentence_is_rejected():
    task = recipe()
    splits = task.load_data()
    model = task.build(splits)
    endless = TaggedSentence(("to",) * 5000, ("O",) * 5000)
    with pytest.raises(DataError, match=r"5,000 words.*'to to to to to'"):
        task.dataset(model, [*splits.train[:3], endless])


def test_batches_of_similar_length_keep_the_order_of_the_inputs():
    lengths = []

    def serve(sentences):
        rows = [sentence.split() for sentence in sentences]
        lengths.append([len(row) for row in rows])
        width = max(map(len, rows))
        return {
            "tokens": [[w.encode() for w in row] + [b""] * (width - len(row)) for row in rows],
            "tags": [[b"O"] * len(row) + [b""] * (width - len(row)) for row in rows],
            "probabilities": np.ones((len(rows), width)),
        }

    inputs = [f"{'to ' * (1 + n % 7)}x{n}" for n in range(150)]
    task = recipe()
    predictions = task.predict(FakeVersion(serve), inputs)
    assert [task.present(prediction) for prediction in predictions] == inputs
    assert max(map(len, lengths)) <= 64
    assert [n for batch in lengths for n in batch] == sorted(len(i.split()) for i in inputs)
