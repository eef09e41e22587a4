"""The recipe from data to poems, on small data; long measurements are marked slow."""

import functools
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dlrecipes import load_recipe, runner
from dlrecipes.data.quatrains import THEMES, Poem, quatrains
from dlrecipes.data.quatrains.rhyme_book import LEVEL_RHYMES, rhymes
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics.prosody import prosody_scores
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder
from dlrecipes.training.callbacks import Checkpoints

SMALL = {
    "examples": 150,
    "units": 12,
    "embedding_units": 8,
    "condition_units": 4,
    "epochs": 1,
    "min_steps_per_epoch": 1,
}
SMALL |= {"num_samples": 20, "minimum_count": 1}
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "quatrains"
needs_quatrains = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/quatrains")
SENTENCE = "The quick brown fox jumps over the lazy dog. "


def recipe(**settings):
    source = registry.find("poem_generation")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def module(name):
    return registry.find("poem_generation")._module(name)


def options(**values):
    return registry.find("poem_generation").predict_options()(**values)


def run(task, folder):
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    return run(recipe(), tmp_path_factory.mktemp("poems"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "fox.txt").write_text(SENTENCE * 200)
    return run(recipe(data=str(folder / "fox.txt"), batch_size=8, epochs=2), folder)


def lines_of(poem):
    return [line.split()[0].strip("，。") for line in poem.splitlines()[1:]]


@functools.cache
def version_of(folder, kind=ModelVersion):
    """Returns a version whose files are loaded only once."""
    return kind(folder)


def predict(result, *inputs, lite=False, **values):
    task = recipe()
    version = version_of(result.version.folder, LiteVersion if lite else ModelVersion)
    predictions = task.predict(version, inputs, options(**values))
    return [task.present(prediction) for prediction in predictions]


# Data


def write_poems(path, poems, opener=open):
    rows = [json.dumps({"content": str(poem)}, ensure_ascii=False) for poem in poems]
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(rows))


def test_a_gzipped_file_is_split_by_seed(tmp_path):
    write_poems(tmp_path / "all.jsonl.gz", quatrains(100), gzip.open)
    first, other, again = (
        recipe(data=str(tmp_path / "all.jsonl.gz"), seed=seed).load_data() for seed in (0, 1, 0)
    )
    parts = (first.train, first.validation, first.test)
    assert [len(part) for part in parts] == [90, 5, 5]
    assert {str(poem) for part in parts for poem in part} == {str(p) for p in quatrains(100)}
    assert first.test == again.test
    assert first.test != other.test


def test_without_a_test_file_half_of_the_validation_file_is_the_test_part(tmp_path):
    poems = quatrains(60)
    write_poems(tmp_path / "train.jsonl", poems[:40])
    write_poems(tmp_path / "valid.jsonl", poems[40:])
    splits = recipe(data=str(tmp_path)).load_data()
    assert splits.train == [Poem(poem.lines) for poem in poems[:40]]
    assert {str(p) for p in [*splits.validation, *splits.test]} == {str(p) for p in poems[40:]}
    assert len(splits.validation) == len(splits.test) == 10


def test_the_form_of_the_data_is_detected_or_set(tmp_path):
    verse = "\n".join("，".join(poem.lines) for poem in quatrains(40))
    (tmp_path / "verse.txt").write_text(verse, encoding="utf-8")
    (tmp_path / "prose.txt").write_text(SENTENCE * 40)
    assert isinstance(recipe(data=str(tmp_path / "verse.txt")).load_data().train, list)
    prose = recipe(data=str(tmp_path / "prose.txt")).load_data()
    assert isinstance(prose.train, str)
    assert prose.notes[0].startswith(
        "prose.txt is read as plain text: it holds no quatrains; poems"
    )
    text = recipe(data=str(tmp_path / "verse.txt"), form="text", window=8).load_data()
    assert text.train + text.validation + text.test == verse


def test_reading_as_plain_text_is_reported_with_the_way_to_read_quatrains(tmp_path):
    few = "\n".join(["，".join(poem.lines) for poem in quatrains(5)] + [SENTENCE] * 15)
    (tmp_path / "train.txt").write_bytes(few.encode("utf-16"))
    (tmp_path / "val.txt").write_text(few.replace("\n", "\r"), encoding="utf-8", newline="")
    splits = recipe(data=str(tmp_path), window=8).load_data()
    assert splits.train == few
    assert splits.validation + splits.test == few
    assert [*splits.notes] == [
        "train.txt is read as plain text: 25% of its poems or lines are quatrains (4 lines of 5 "
        "or 7 characters); --form quatrains reads those.",
        "train.txt is read as UTF-16.",
        "val.txt: the second half of the text is for test.",
    ]


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"form": "text"}, ["--form"]),
        ({"data": "x", "line_length": "5", "examples": 200}, ["--line-length", "--examples"]),
        ({"data": "x", "form": "text", "num_samples": 5}, ["--num-samples"]),
        ({"data_dir": "x"}, ["--data-dir"]),
    ],
)
def test_settings_that_others_leave_without_effect_are_refused(settings, options):
    with pytest.raises(UsageError, match="no effect") as caught:
        load_recipe("poem_generation", **settings)
    assert re.findall(r"(--[a-z-]+): ", str(caught.value)) == options


def test_bad_data_is_reported_in_one_line(tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "broken.txt").write_bytes(b"fine\n\xff")
    (tmp_path / "damaged.txt.gz").write_bytes(gzip.compress(b"text" * 99)[:-6])
    (tmp_path / "folder").mkdir()
    for name, message in {
        "short.txt": r"expected more than one window of 32",
        "broken.txt": r"broken\.txt:2: byte 0xff is not UTF-8",
        "damaged.txt.gz": r"damaged gzip",
        "nothing.txt": r"does not exist",
        "folder": r"no file train and no file valid",
    }.items():
        with pytest.raises(DataError, match=message) as caught:
            recipe(data=str(tmp_path / name)).load_data()
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="builtin"):
        recipe(data="tfds:poems").load_data()


def test_characters_and_themes_are_associated_by_common_poems():
    encoding = module("encoding")
    poems = [Poem(("明月",), theme="night"), Poem(("明月",), theme="night"), Poem(("山水",))] * 20
    names = encoding.vocabulary(("明月山水",), 1)
    ids, strengths = encoding.associate(poems, names, ["night"])
    assert ids.shape == (len(names) + 1, len(names))
    # 明 and 月 share 40 of 60 poems: log(40 * 60 / 40 / 40), weighted by 40 / (40 + 4).
    row = dict(zip(ids[names.index("明")].tolist(), strengths[names.index("明")], strict=True))
    assert row[names.index("月")] == pytest.approx(np.log(1.5) * 40 / 44, rel=1e-5)
    assert row[names.index("明")] == 3
    assert row[names.index("山")] == 0
    assert strengths[-1].max() == pytest.approx(np.log(1.5) * 40 / 44, rel=1e-5)


# Poems


def test_enforced_poems_keep_every_rule(poems):
    scores = poems.metrics["test"]["constrained"]
    assert [scores[name] for name in ("form", "tones", "line_tones", "rhyme", "regulated")] == [
        1
    ] * 5
    assert set(poems.metrics["test"]) >= {
        "perplexity",
        "perplexity_unconditional",
        "constrained",
        "unconstrained",
    }


def test_a_seed_writes_the_same_poem_with_the_savedmodel_and_litert(poems):
    for values in ({}, {"first_line": "明月照"}, {"line_length": "7", "enforce": False}):
        first, again = (predict(poems, "明月", seed=3, **values) for _ in range(2))
        assert first == again
        assert predict(poems, "明月", seed=3, lite=True, **values) == first
    assert predict(poems, "明月", seed=4) != predict(poems, "明月", seed=3)


def test_metrics_and_signatures_share_one_graph_and_one_set_of_poems(monkeypatch):
    source, poets = module("recipe"), []

    class Counted(source.Poet):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            poets.append(self)

    monkeypatch.setattr(source, "Poet", Counted)
    task = recipe()
    splits = task.load_data()
    model = task.build(splits)
    scored = [task.evaluate(model, splits, part) for part in ("validation", "test")]
    assert scored[0]["constrained"] is scored[1]["constrained"]
    for signature in task.signatures(model, splits).signatures.values():
        assert "poem" in signature.traced.structured_outputs
    (poet,) = poets
    assert poet._function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("length", ["5", "7"])
def test_an_acrostic_has_the_characters_and_regulated_tones(poems, length):
    # All four are level, so that the lines must begin level or free.
    (poem,) = predict(poems, acrostic="春江花山", line_length=length)
    lines = lines_of(poem)
    assert "".join(line[0] for line in lines) == "春江花山"
    assert prosody_scores([lines], int(length))["regulated"] == 1


@pytest.mark.slow
def test_a_first_line_decides_the_line_length_and_the_rhyme(poems):
    for poem in recipe().load_data().train[:4]:
        (written,) = predict(poems, first_line=poem.lines[0], seed=1)
        lines = lines_of(written)
        assert lines[0] == poem.lines[0]
        assert prosody_scores([lines], len(poem.lines[0]))["regulated"] == 1


@pytest.mark.slow
def test_a_requested_rhyme_is_kept(poems):
    for seed in range(3):
        lines = lines_of(predict(poems, "明月", rhyme="楼", seed=seed)[0])
        assert rhymes(lines[1][-1]) & rhymes(lines[3][-1]) & rhymes("楼") & LEVEL_RHYMES


def test_a_theme_raises_its_characters(poems):
    requests = module("requests")
    request = requests.arrays("quatrains", 60, **requests.DEFAULTS["quatrains"])
    request |= {"seed": np.arange(60)}

    def fraction(theme):
        poem = version_of(poems.version.folder).call(
            "generate", **{**request, "theme": [theme] * 60}
        )
        text = "".join(row.decode() for row in poem["poem"])
        return np.mean([character in "明月" for character in text])

    assert fraction("明月") > 2 * fraction("春风")


@pytest.mark.parametrize(
    "inputs, values, message",
    [
        (("xyz",), {}, "No character of the theme"),
        ((), {"first_line": "龘龘"}, "first line has characters outside the vocabulary: 龘龘"),
        ((), {"acrostic": "春江花月夜"}, "acrostic has more characters"),
        (
            (),
            {"first_line": "春江花月夜山", "line_length": "5"},
            "more characters than fit",
        ),
        # The second and the fourth character are both level, which no template has.
        ((), {"first_line": "江春江山", "line_length": "7"}, "template"),
        ((), {"length": 5}, "--length does not apply to quatrains"),
        ((), {"first_line": "春江", "acrostic": "花月"}, "--acrostic begins with '花', but"),
        ((), {"rhyme": "x"}, "not a character with a known level rhyme"),
        ((), {"rhyme": "咸"}, "too few characters of the rhyme 咸. The model's rhymes are "),
        # 雪 has only an entering tone, and regulated quatrains rhyme in level tones.
        ((), {"rhyme": "雪"}, "not a character with a known level rhyme"),
    ],
)
@pytest.mark.parametrize("lite", [False, True])
def test_impossible_requests_are_reported_in_one_line(poems, inputs, values, message, lite):
    with pytest.raises(UsageError, match=message) as caught:
        predict(poems, *inputs, lite=lite, **values)
    assert "\n" not in str(caught.value)


def test_unknown_options_are_rejected():
    with pytest.raises(UsageError, match=r"temperature"):
        registry.find("poem_generation").predict_options().parse({"temprature": "1"})


def test_signatures_take_themes_first_lines_and_acrostics(poems):
    version = version_of(poems.version.folder)
    outputs = version.call(theme=[THEMES[0], "明月"])
    assert outputs["problem"].tolist() == [b"", b""]
    lines = [line.decode() for line in outputs["lines"][1]]
    assert outputs["poem"][1].decode().split("\n") == lines
    for name in ("first_line", "acrostic"):
        assert version.call(name, **{name: ["明月"]})["problem"][0] == b""
    pages = (version.folder / "assets.extra" / "poems.txt").read_text(encoding="utf-8")
    assert pages.split("\n\n")[0].splitlines()[0] == sorted(THEMES)[0]


# Text


@pytest.mark.slow
def test_a_text_in_any_language_is_continued(text):
    prompt = "The quick "
    for values in ({"top_k": 1}, {"seed": 5}):
        (written,) = predict(text, prompt, length=20, **values)
        assert written.startswith(prompt)
        assert len(written) == len(prompt) + 20
        assert predict(text, prompt, length=20, lite=True, **values) == [written]
    for lite in (False, True):
        with pytest.raises(UsageError, match="outside the vocabulary: 月"):
            predict(text, "The 月", lite=lite)
    with pytest.raises(UsageError, match="--acrostic does not apply to text"):
        predict(text, acrostic="月")
    assert text.metrics["test"]["bits"] == pytest.approx(
        np.log2(text.metrics["test"]["perplexity"])
    )


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_run(tmp_path, monkeypatch):
    monkeypatch.setattr(registry.find("poem_generation").recipe(), "evaluate", lambda *_: {})
    *_, expected, _ = runner.train(recipe(epochs=3), run_folder.new_folder(tmp_path / "a", None))
    folder = run_folder.new_folder(tmp_path / "b", None)
    save = Checkpoints.on_epoch_end

    def killed(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_epoch_end", killed)
        with pytest.raises(KeyboardInterrupt):
            runner.train(recipe(epochs=3), folder)
    *_, history, _ = runner.train(recipe(epochs=3), folder)
    assert history.history == expected.history


@pytest.mark.slow
def test_built_in_poems_are_published_within_two_minutes(tmp_path):
    source = registry.find("poem_generation")
    task = source.recipe()(source.config()(), source.name)
    result = run(task, tmp_path)
    assert result.metrics["seconds"]["total"] < 120
    # Sampling characters by frequency alone is far worse.
    assert result.metrics["test"]["perplexity"] < 60
    assert result.metrics["test"]["constrained"]["regulated"] == 1


@pytest.mark.slow
@needs_quatrains
def test_an_untrained_network_on_real_poems_guesses_uniformly():
    task = recipe(data=str(REAL), units=64, embedding_units=32)
    splits = task.load_data()
    model = task.build(splits)
    assert (len(splits.train), len(splits.validation) + len(splits.test)) == (89978, 7950)
    perplexity, _ = module("scores").perplexities(model, splits.test[:200])
    assert np.log(perplexity) == pytest.approx(np.log(len(model.vocabulary)), rel=0.02)


def test_the_card_and_the_readme_name_what_the_graphs_have(poems, unknown_names):
    assert unknown_names(poems.version.folder, "poem_generation") == set()


# Slow because it needs a run of its own kind.
@pytest.mark.slow
def test_the_card_of_a_text_model_names_what_the_graphs_have(text, unknown_names):
    assert unknown_names(text.version.folder) == set()
