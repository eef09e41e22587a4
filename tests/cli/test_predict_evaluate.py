"""The published model, asked and measured; a damaged one is named, never half read."""

import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from dlrecipes.export import publish
from dlrecipes.export.version import CONFIG_FILE, EXTRAS, find_version

SENTENCE = "leave Beijing on November 2nd"


@pytest.fixture
def ask(dlrecipes, published_slots):
    """Asks the copy of the published model."""

    def call(verb, *args):
        return dlrecipes(verb, "slot_filling", *args, "--models-dir", published_slots)

    return call


@pytest.fixture
def typed(monkeypatch):
    """Puts bytes on standard input."""

    def type_in(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))

    return type_in


def refusal(answer, code):
    assert (answer.code, answer.out) == (code, "")
    first, *hint = answer.err.splitlines()
    assert first.startswith("Error: ")
    assert len(hint) <= 1
    return first.removeprefix("Error: ")


@pytest.mark.parametrize(("verb", "args"), [("predict", [SENTENCE]), ("evaluate", [])])
def test_nothing_published_says_how_to_make_it(dlrecipes, tmp_path, verb, args):
    answer = dlrecipes(verb, "slot_filling", *args, "--models-dir", tmp_path)
    folder = tmp_path / "slot_filling"
    assert refusal(answer, 2) == f"{folder}: no model is published there."
    assert "dlrecipes run slot_filling" in answer.err


@pytest.mark.parametrize(("verb", "args"), [("predict", [SENTENCE]), ("evaluate", [])])
def test_an_unknown_version_lists_those_that_exist(ask, published_slots, verb, args):
    (published_slots / "slot_filling" / "12").mkdir()
    answer = ask(verb, *args, "--model-version", "7")
    assert refusal(answer, 2).endswith("there is no version 7.")
    assert "Published versions: 1, 12." in answer.err


def test_a_model_of_other_data_is_used_by_its_name(dlrecipes, published_slots):
    (published_slots / "slot_filling").rename(published_slots / "slot_filling-trips")
    places = ("--models-dir", published_slots)
    answer = dlrecipes("predict", "slot_filling-trips", SENTENCE, "--json", *places)
    assert answer.code == 0
    assert set(json.loads(answer.out)) >= {"tokens", "tags"}
    answer = dlrecipes("evaluate", "slot_filling-trips", *places)
    assert f"{published_slots / 'slot_filling-trips' / '1'} on builtin, test" in answer.out
    line = dlrecipes("predict", "slot_filling", SENTENCE, *places).err
    assert "On other data there is: slot_filling-trips." in line


def test_a_version_is_a_number_from_one(ask):
    assert "--model-version" in refusal(ask("predict", SENTENCE, "--model-version", "0"), 2)


def test_the_latest_version_is_the_largest_number(tmp_path):
    for name in ("9", "10", ".publishing-11", "notes"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    (tmp_path / "mine" / "11").write_text("no folder")
    assert find_version(tmp_path, "mine").folder == tmp_path / "mine" / "10"


@pytest.mark.parametrize("content", [None, b""])
def test_there_must_be_something_to_predict(ask, typed, content):
    typed(content or b"")
    refusal(ask("predict", *([] if content is None else ["-"])), 2)


@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_sentence_is_named_by_its_number(ask, empty):
    assert refusal(ask("predict", SENTENCE, empty), 2) == "Sentence 2 is empty."


def test_standard_input_that_is_not_utf8_is_named_by_its_line(ask, typed):
    typed(b"to Rome\nto \xff\n")
    assert refusal(ask("predict", "-"), 1) == "Standard input, line 2: not UTF-8."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("to Rome\n".encode("utf-16"), "Standard input is UTF-16; expected UTF-8."),
        ("to Rome\n".encode("utf-16-le"), "Standard input, line 1: a zero byte; expected text."),
        (b"to Rome\rto Oslo\r", "Standard input, line 1: the line ends are CR alone."),
    ],
)
def test_standard_input_of_other_systems_is_refused(ask, typed, content, problem):
    typed(content)
    assert refusal(ask("predict", "-"), 1) == problem


def test_standard_input_takes_no_other_input(ask, typed):
    typed(b"to Rome\n")
    assert refusal(ask("predict", "-", SENTENCE), 2).startswith("INPUT '-' is standard input")


def test_arguments_are_utf8_in_every_locale(ask):
    # As Python reads UTF-8 in a locale of ASCII.
    typed = "Zürich".encode().decode("ascii", "surrogateescape")
    assert json.loads(ask("predict", typed, "--json").out)["tokens"] == ["Zürich"]


def test_predictions_of_standard_input_stay_in_step_with_its_lines(ask, typed, tmp_path):
    typed("\ufeffto Rome\n \nto Oslo\n".encode())
    answer = ask("predict", "-", "--output", tmp_path / "out.jsonl")
    assert answer.err == "Note: blank lines have no prediction: null for 1 of them.\n"
    assert answer.out.endswith("2 predictions\n")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row and row["tokens"] for row in rows] == [["to", "Rome"], None, ["to", "Oslo"]]


def test_predictions_keep_the_words_and_their_order(ask, typed):
    answer = ask("predict", SENTENCE, "to Rome")
    assert (answer.code, answer.err) == (0, "")
    plain = answer.out.replace("[", "").replace("]", " ]")
    words = [word for word in plain.split() if word in [*SENTENCE.split(), "to", "Rome"]]
    positions = [words.index(word) for word in [*SENTENCE.split(), "to", "Rome"]]
    assert positions == sorted(positions)
    typed(f"{SENTENCE}\r\nto Rome".encode())
    assert ask("predict", "-").out == answer.out


def test_evaluation_of_the_published_model_equals_the_runs(ask, run_once):
    answer = ask("evaluate", "--json")
    assert (answer.code, answer.err) == (0, "")
    measured = json.loads(answer.out)
    assert measured == run_once[0].metrics["test"]
    answer = ask("evaluate", "--split", "validation")
    first, *rows = answer.out.splitlines()
    assert first.endswith("slot_filling/1 on builtin, validation: 100 examples")
    f1 = run_once[0].metrics["validation"]["span_f1"]
    assert rows[0].split() == ["span_f1", f"{f1:.4f}"]


def test_how_the_data_was_read_is_printed(ask, tmp_path):
    text = "".join(f"{k} to x O\n\n1 Rome x S-departure_city\n2 now x O\n\n" for k in range(6))
    (tmp_path / "data.txt").write_text(text)
    answer = ask("evaluate", "--data", tmp_path / "data.txt")
    notes = [line for line in answer.err.splitlines() if line.startswith("Note: ")]
    assert notes[0].startswith("Note: data.txt: words are column 2 (to, Rome), tags")
    assert "validation and test are split off, 1 of 12 sentences each, by --seed." in notes[1]
    assert notes[2] == "Note: The tags are read as IOBES."


def test_evaluation_takes_the_settings_that_say_how_data_are_read(ask, tmp_path):
    text = "".join(f"{k} to x O\n\n1 Rome x S-departure_city\n2 now x O\n\n" for k in range(6))
    data = tmp_path / "data.txt"
    data.write_text(text)
    answer = ask("evaluate", "--data", data, "--word-column", 3, "--tag-column=4")
    assert answer.code == 0
    assert "words are column 3 (x" in answer.err
    answer = ask("evaluate", "--data", data, "--word-column", 7, "--tag-column", 4)
    assert "data.txt:1" in refusal(answer, 1)
    table = tmp_path / "data.csv"
    table.write_text(
        "Sentence #,Word,Tag\n" + "".join(f"{k},to,O\n{k},Rome,B-x\n" for k in range(9))
    )
    answer = ask("evaluate", "--data", table, "--word-column", 2)
    assert "give 0 for each to evaluate a model that was trained with them" in answer.err
    assert "CoNLL" not in ask("evaluate", "--data", table, "--word-column", 0).err


@pytest.mark.parametrize("verb", ["evaluate", "export"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--word-column", 2), "slot_filling: no effect: --word-column: it is for --data."),
        (("--data", "x", "--language", "chinese"), "--language: the model has its own."),
        (("--data", "x", "--data-dir", "y"), "--data-dir: slot_filling reads no TFDS datasets."),
        (("--splt", "test"), "--splt: no such option."),
    ],
)
def test_other_settings_are_refused_with_those_that_fit(ask, verb, options, message):
    options = (*options, "--quantize", "float16") if verb == "export" else options
    answer = ask(verb, *options)
    assert refusal(answer, 2) == message
    if "no effect" not in message:
        assert "also takes --word-column, --tag-column" in answer.err


def test_evaluation_on_data_that_is_not_there_names_it(ask):
    assert "no_such_data" in refusal(ask("evaluate", "--data", "no_such_data"), 1)


def shortened(path):
    path.write_bytes(path.read_bytes()[:100])


def emptied(path):
    path.write_bytes(b"")


def removed(path):
    path.unlink()


@pytest.mark.parametrize("harm", [removed, emptied, shortened])
@pytest.mark.parametrize(
    ("verb", "file"),
    [
        ("predict", "model.tflite"),
        ("predict", f"{EXTRAS}/words.txt"),
        ("predict --saved-model", "saved_model.pb"),
        ("predict --saved-model", "variables/variables.index"),
        ("predict --saved-model", "variables/variables.data-00000-of-00001"),
        ("evaluate", "model.keras"),
    ],
)
def test_a_damaged_version_is_one_line_that_names_it(ask, published_slots, harm, verb, file):
    folder = published_slots / "slot_filling" / "1"
    harm(folder / file)
    answer = ask(*verb.split(), *([SENTENCE] if verb != "evaluate" else []))
    assert refusal(answer, 1).startswith(f"{folder}: ")
    assert "Delete its folder" in answer.err


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_version_without_its_configuration_is_damaged(ask, published_slots, verb):
    folder = published_slots / "slot_filling" / "1"
    (folder / EXTRAS / CONFIG_FILE).unlink()
    answer = ask(verb, *([SENTENCE] if verb == "predict" else []))
    assert refusal(answer, 1).startswith(f"{folder}: {EXTRAS}/config.yaml is missing")


@pytest.fixture(scope="module")
def without_recipe(tmp_path_factory):
    """A folder of models with one that sums its inputs, published without a recipe."""
    folder = tmp_path_factory.mktemp("models")
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="sum")])
    model.set_weights([np.ones((2, 1)), np.zeros(1)])
    publish(model, folder / "adder", examples=np.ones((2, 2), "float32"))
    return folder


def test_a_model_without_a_recipe_takes_json(dlrecipes, without_recipe, typed):
    models = ("--models-dir", without_recipe)
    answer = dlrecipes("predict", "adder", "[1, 2]", "[3.5, 4]", *models)
    assert (answer.code, answer.out, answer.err) == (0, "sum  [3.0]\nsum  [7.5]\n", "")
    by_path = dlrecipes("predict", without_recipe / "adder" / "1", '{"x": [1, 2]}', "--json")
    assert json.loads(by_path.out) == {"sum": [3.0]}
    typed(b"[1, 2]\n[2, 2]\n")
    assert dlrecipes("predict", "adder", "-", *models).out.splitlines() == [
        "sum  [3.0]",
        "sum  [4.0]",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("adder", "[1]"), "Input 1: x has shape (1,)."),
        (("adder", "one"), "Input 1 is not JSON: 'one'."),
        (("adder",), "There is nothing to predict."),
        (("adder", "[1, 2]", "--model-version", "3"), "there is no version 3."),
        (("add", "[1, 2]"), "Unknown recipe 'add'."),
    ],
)
def test_a_wrong_input_of_a_model_without_a_recipe_is_one_line(
    dlrecipes, without_recipe, args, message
):
    answer = dlrecipes("predict", *args, "--models-dir", without_recipe)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err.splitlines()[0]


def test_an_unknown_model_is_named_before_its_options_are_read(dlrecipes, without_recipe):
    words = ("[1, 2]", "--draw", "here", "--models-dir", without_recipe)
    answer = dlrecipes("predict", "addder", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Error: Unknown recipe 'addder'.\n  Did you mean 'adder'?\n"


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export"])
def test_a_version_after_the_name_is_refused_with_its_option(dlrecipes, without_recipe, verb):
    answer = dlrecipes(verb, "adder:1", "--models-dir", without_recipe)
    assert (answer.code, answer.out) == (2, "")
    message, hint = answer.err.splitlines()
    assert message == "Error: adder:1: expected a name without a version."
    assert hint.startswith("  Give the name alone: adder. ")
    assert hint.endswith("--model-version 1.")


@pytest.fixture
def tagged_data(tmp_path):
    """Writes sentences with the slots that are given, as CoNLL files."""

    def write(*slots):
        folder = tmp_path / "tagged"
        folder.mkdir()
        sentence = "go O\n" + "".join(f"place{k} B-{slot}\n" for k, slot in enumerate(slots))
        for part in ("train", "valid", "test"):
            (folder / f"{part}.txt").write_text(3 * f"{sentence}\n")
        return folder

    return write


def test_data_of_other_labels_are_one_line(ask, tagged_data):
    data = tagged_data("colour", "size", "shape", "weight")
    line = refusal(ask("evaluate", "--data", data), 1)
    assert f"{data}: the model knows none of the 4 labels (colour, shape, size, ...)" in line


def test_unknown_labels_are_named_once_and_have_no_row(ask, tagged_data, run_once):
    slot = next(iter(run_once[0].metrics["test"]["span_f1_by_slot"]))
    answer = ask("evaluate", "--data", tagged_data("colour", slot))
    assert answer.code == 0
    assert "the model does not know 1 of the 2 labels" in answer.err
    assert ": colour. They count as mistakes." in answer.err
    assert "colour" not in answer.out


@pytest.mark.parametrize("arguments", [[SENTENCE], [SENTENCE, "to Rome", "--json"]])
def test_predictions_load_neither_tensorflow_nor_keras(published_slots, arguments):
    code = (
        "import sys\n"
        "from dlrecipes.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    loaded = {'tensorflow', 'keras', 'matplotlib', 'pandas', 'scipy', 'h5py'}\n"
        "    print(loaded & set(sys.modules), file=sys.stderr)\n"
    )
    words = ["predict", "slot_filling", *arguments, "--models-dir", str(published_slots)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert "Beijing" in done.stdout


def test_the_savedmodel_predicts_the_same(ask):
    first, other = (
        json.loads(ask("predict", SENTENCE, "--json", *flags).out)
        for flags in ([], ["--saved-model"])
    )
    for key in ("tokens", "tags", "intent"):
        assert first[key] == other[key]
    assert first["intent_probability"] == pytest.approx(other["intent_probability"], abs=1e-4)
