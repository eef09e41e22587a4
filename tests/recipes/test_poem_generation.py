"""The recipe from data to poems, on small data; the long measurements are marked slow."""

import functools
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes import runner, samplers
from dlrecipes.data.quatrains import THEMES, Poem, quatrains
from dlrecipes.data.quatrains.prosody import rhymes
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics.prosody import prosody_scores
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder
from dlrecipes.training.callbacks import Checkpoints

SMALL = {"examples": 150, "units": 12, "embedding_units": 8, "condition_units": 4, "epochs": 1}
SMALL |= {"num_samples": 20, "minimum_count": 1}
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "quatrains"
needs_quatrains = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/quatrains")
SENTENCE = "The quick brown fox jumps over the lazy dog. "


def recipe(**settings):
    source = registry.find("poem_generation")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def module(name):
    return registry.find("poem_generation")._module(name)


def options(**told):
    return registry.find("poem_generation").predict_options()(**told)


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


def lines_of(answer):
    return [line.split()[0].strip("，。") for line in answer.splitlines()[1:]]


@functools.cache
def version_of(folder):
    """Returns a version whose files are loaded once."""
    return ModelVersion(folder)


def ask(result, *inputs, **told):
    task = recipe()
    predictions = task.predict(version_of(result.version.folder), inputs, options(**told))
    return [task.present(prediction) for prediction in predictions]


# Data


def write_poems(path, found, opened=open):
    rows = [json.dumps({"content": str(poem)}, ensure_ascii=False) for poem in found]
    with opened(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(rows))


def test_a_file_is_split_by_seed_and_gzip_is_read(tmp_path):
    write_poems(tmp_path / "all.jsonl.gz", quatrains(100), gzip.open)
    one, other, again = (
        recipe(data=str(tmp_path / "all.jsonl.gz"), seed=seed).load_data() for seed in (0, 1, 0)
    )
    assert [len(part) for part in (one.train, one.validation, one.test)] == [90, 5, 5]
    parts = {str(p) for part in (one.train, one.validation, one.test) for p in part}
    assert parts == {str(poem) for poem in quatrains(100)}
    assert one.test == again.test
    assert one.test != other.test


def test_a_folder_without_a_test_file_tests_on_half_of_its_validation(tmp_path):
    found = quatrains(60)
    write_poems(tmp_path / "train.jsonl", found[:40])
    write_poems(tmp_path / "valid.jsonl", found[40:])
    splits = recipe(data=str(tmp_path)).load_data()
    assert splits.train == [Poem(poem.lines) for poem in found[:40]]
    assert {str(p) for p in [*splits.validation, *splits.test]} == {str(p) for p in found[40:]}
    assert len(splits.validation) == len(splits.test) == 10


def test_what_a_text_is_is_seen_or_said(tmp_path):
    verse = "\n".join("，".join(poem.lines) for poem in quatrains(40))
    (tmp_path / "verse.txt").write_text(verse, encoding="utf-8")
    (tmp_path / "prose.txt").write_text(SENTENCE * 40)
    assert isinstance(recipe(data=str(tmp_path / "verse.txt")).load_data().train, list)
    assert isinstance(recipe(data=str(tmp_path / "prose.txt")).load_data().train, str)
    said = recipe(data=str(tmp_path / "verse.txt"), form="text", window=8).load_data()
    assert said.train + said.validation + said.test == verse


def test_bad_data_is_one_clear_line(tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "broken.txt").write_bytes(b"fine\n\xff")
    (tmp_path / "damaged.txt.gz").write_bytes(gzip.compress(b"text" * 99)[:-6])
    (tmp_path / "folder").mkdir()
    for name, message in {
        "short.txt": r"fewer than one window of 32",
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


def test_poems_are_told_their_own_template_and_rhyme():
    # Zhi 5 oblique start, first line does not rhyme: patterns *Z*PZ PP*ZP *P*ZZ *ZZPP.
    lines = ("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")
    encoding = module("encoding")
    known = encoding.of(tuple(encoding.vocabulary(lines, 1)))
    departing = ("白日依入尽", *lines[1:])
    found = known.encode([Poem(lines), Poem(departing), Poem(("山" * 5,) * 4)])
    signs = ["".join("*PZ"[code] for code in tone) for tone in found["tone"]]
    assert signs[0] == "*Z*PZPP*ZP*P*ZZ*ZZPP"
    # Where a poem departs from the template that is nearest to it, it is told its own tone.
    assert signs[1] == "*Z*ZZPP*ZP*P*ZZ*ZZPP"
    # Level throughout: nearest is PP*ZP *ZZPP *Z*PZ PP*ZP, with six departures.
    assert signs[2] == "PP*PP*PPPP*P*PPPP*PP"
    # 流 and 楼 are of class 欧, the 10th; the other lines are told of no rhyme.
    assert found["rhyme"][0].tolist() == [16] * 5 + [9] * 5 + [16] * 5 + [9] * 5
    assert found["characters"][0].tolist() == [0, *found["targets"][0][:-1]]
    assert found["place"][0].tolist() == list(range(28, 48))


def test_what_stands_together_is_associated():
    encoding = module("encoding")
    found = [Poem(("明月",), theme="night"), Poem(("明月",), theme="night"), Poem(("山水",))] * 20
    names = encoding.vocabulary(("明月山水",), 1)
    ids, strengths = encoding.associations(found, names, ["night"])
    # 明 and 月 share 40 of 60 poems: log(40 * 60 / 40 / 40), believed by 40 / (40 + 4).
    row = dict(zip(ids[names.index("明")].tolist(), strengths[names.index("明")], strict=True))
    assert row[names.index("月")] == pytest.approx(np.log(1.5) * 40 / 44, rel=1e-5)
    assert row[names.index("明")] == 3
    assert row[names.index("山")] == 0
    assert strengths[-1].max() == pytest.approx(np.log(1.5) * 40 / 44, rel=1e-5)


# Drawing


def test_the_graph_and_numpy_draw_alike():
    lite = module("lite")
    rng = np.random.default_rng(0)
    seeds = np.array([0, 1, 7, 2**31 - 1])
    draws = np.stack([samplers.uniform(tf.constant(seeds), k).numpy() for k in range(300)])
    assert draws[5].tolist() == [lite.uniform(int(seed), 5) for seed in seeds]
    # Evenly spread: 1,200 numbers' mean is within 4 standard deviations of a half.
    assert abs(draws.mean() - 0.5) < 4 / np.sqrt(12 * draws.size)
    scores = rng.normal(size=(4, 50)).astype("float32")
    allowed = rng.random((4, 50)) < 0.5
    top_k, top_p = np.array([0, 3, 0, 5], "int32"), np.array([1, 1, 0.5, 0.9], "float32")
    for drawn in draws[:40]:
        found = samplers.choose(*map(tf.constant, (scores, allowed, top_k, top_p, drawn)))
        rows = zip(scores, allowed, top_k, top_p, drawn, strict=True)
        assert found.numpy().tolist() == [lite.choose(*row) for row in rows]


def test_draws_follow_the_softmax_of_the_best():
    choose = samplers.choose
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    drawn = (np.arange(1000) + 0.5) / 1000
    scores = np.tile(np.log(shares), (1000, 1)).astype("float32")

    def counts(top_k, top_p, allowed=(True,) * 4):
        ids = choose(
            tf.constant(scores),
            tf.constant(np.tile(allowed, (1000, 1))),
            tf.fill([1000], top_k),
            tf.fill([1000], top_p),
            tf.constant(drawn),
        )
        return np.bincount(ids.numpy(), minlength=4).tolist()

    assert counts(0, 1.0) == [500, 300, 150, 50]
    assert counts(2, 1.0) == [625, 375, 0, 0]
    # The first two have 0.8: the third is needed for 0.9. Their shares are of 0.95.
    assert counts(0, 0.9) == pytest.approx([526, 316, 158, 0], abs=1)
    assert counts(0, 1.0, (False, True, False, True)) == pytest.approx([0, 857, 0, 143], abs=1)


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


def test_the_same_seed_writes_the_same_poem_and_tflite_too(poems):
    for told in ({}, {"first_line": "明月照"}, {"line_length": "7", "enforce": False}):
        first, again = (ask(poems, "明月", seed=3, **told) for _ in range(2))
        assert first == again
        assert ask(poems, "明月", seed=3, lite=True, **told) == first
    assert ask(poems, "明月", seed=4) != ask(poems, "明月", seed=3)


@pytest.mark.parametrize("length", ["5", "7"])
def test_an_acrostic_has_its_characters_and_its_tones(poems, length):
    # All level: the template must begin level where it says so.
    (answer,) = ask(poems, acrostic="春江花山", line_length=length)
    lines = lines_of(answer)
    assert "".join(line[0] for line in lines) == "春江花山"
    assert prosody_scores([lines], int(length))["regulated"] == 1


@pytest.mark.slow
def test_a_first_line_decides_the_line_length_and_the_rhyme(poems):
    for poem in recipe().load_data().train[:4]:
        (answer,) = ask(poems, first_line=poem.lines[0], seed=1)
        lines = lines_of(answer)
        assert lines[0] == poem.lines[0]
        assert prosody_scores([lines], len(poem.lines[0]))["regulated"] == 1


@pytest.mark.slow
def test_a_rhyme_that_is_asked_for_is_kept(poems):
    for seed in range(3):
        lines = lines_of(ask(poems, "明月", rhyme="楼", seed=seed)[0])
        assert rhymes(lines[1][-1]) & rhymes(lines[3][-1]) & rhymes("楼")


def test_a_theme_raises_its_characters(poems):
    def share(theme):
        request = {"theme": tf.fill([60], theme), **asked}
        found = "".join(row.decode() for row in write(**request)["poem"].numpy())
        return np.mean([character in "明月" for character in found])

    table = module("requests").POEM
    rest = {name: tf.fill([60], tf.constant(d, t)) for name, (t, d) in table.items()}
    asked = {**rest, "seed": tf.range(60, dtype=tf.int64)}
    del asked["theme"]
    write = ModelVersion(poems.version.folder).function("generate")
    assert share("明月") > 2 * share("春风")


@pytest.mark.parametrize(
    "inputs, told, message",
    [
        (("xyz",), {}, "No character of the theme"),
        ((), {"first_line": "龘龘"}, "first line has what is not in the vocabulary: 龘龘"),
        ((), {"acrostic": "春江花月夜"}, "acrostic has more characters"),
        (
            (),
            {"first_line": "春江花月夜山", "line_length": "5"},
            "more characters than there is room",
        ),
        # The second and the fourth are both level, which no template has.
        ((), {"first_line": "江春江山", "line_length": "7"}, "template"),
        ((), {"length": 5}, "--length does not apply to quatrains"),
        ((), {"rhyme": "x"}, "not a character with a known rhyme"),
    ],
)
@pytest.mark.parametrize("lite", [False, True])
def test_what_cannot_be_written_is_one_line(poems, inputs, told, message, lite):
    with pytest.raises(UsageError, match=message) as caught:
        ask(poems, *inputs, lite=lite, **told)
    assert "\n" not in str(caught.value)


def test_unknown_options_are_refused():
    with pytest.raises(UsageError, match=r"temperature"):
        registry.find("poem_generation").predict_options().parse({"temprature": "1"})


def test_signatures_take_what_a_user_gives(poems):
    version = ModelVersion(poems.version.folder)
    found = version.function()(theme=tf.constant([THEMES[0], "明月"]))
    assert found["problem"].numpy().tolist() == [b"", b""]
    assert found["poem"].numpy()[1].decode().split("\n") == [
        line.decode() for line in found["lines"].numpy()[1]
    ]
    for name in ("first_line", "acrostic"):
        found = version.function(name)(**{name: tf.constant(["明月"])})
        assert found["problem"].numpy()[0] == b""
    pages = (version.folder / "assets.extra" / "poems.txt").read_text(encoding="utf-8")
    assert pages.split("\n\n")[0].splitlines()[0] == sorted(THEMES)[0]


# Text


@pytest.mark.slow
def test_a_text_of_any_language_goes_on(text):
    prompt = "The quick "
    for told in ({"top_k": 1}, {"seed": 5}):
        (answer,) = ask(text, prompt, length=20, **told)
        assert answer.startswith(prompt)
        assert len(answer) == len(prompt) + 20
        assert ask(text, prompt, length=20, lite=True, **told) == [answer]
    with pytest.raises(UsageError, match="not in the vocabulary: 月"):
        ask(text, "The 月", lite=True)
    with pytest.raises(UsageError, match="not in the vocabulary: 月"):
        ask(text, "The 月")
    assert text.metrics["test"]["bits"] == pytest.approx(
        np.log2(text.metrics["test"]["perplexity"])
    )


@pytest.mark.slow
def test_a_run_that_goes_on_ends_where_it_would_have_ended(tmp_path, monkeypatch):
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
    *_, found, _ = runner.train(recipe(epochs=3), folder)
    assert found.history == expected.history


@pytest.mark.slow
def test_built_in_poems_are_published_within_two_minutes(tmp_path):
    source = registry.find("poem_generation")
    task = source.recipe()(source.config()(), source.name)
    result = run(task, tmp_path)
    assert result.metrics["seconds"]["total"] < 120
    # Drawing characters by their frequency alone is far worse.
    assert result.metrics["test"]["perplexity"] < 60
    assert result.metrics["test"]["constrained"]["regulated"] == 1


@pytest.mark.slow
@needs_quatrains
def test_an_untrained_network_of_real_poems_is_as_good_as_guessing():
    task = recipe(data=str(REAL), units=64, embedding_units=32)
    splits = task.load_data()
    model = task.build(splits)
    assert (len(splits.train), len(splits.validation) + len(splits.test)) == (89978, 7950)
    told, _ = module("scores").perplexities(model, splits.test[:200])
    assert np.log(told) == pytest.approx(np.log(len(model.vocabulary)), rel=0.02)
