"""The commands that a finished run prints under "Next" work as they are printed."""

import dataclasses
import io
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlrecipes.cli.run import summary
from dlrecipes.recipe import registry
from dlrecipes.recipe.example_files import StandardInput
from dlrecipes.runner.example_inputs import keep_examples


def commands(text):
    """Returns the commands under "Next", each as words."""
    lines = text.partition("\nNext:\n")[2].splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def test_commands_of_a_run_work_as_printed(dlrecipes, run_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = registry.find("slot_filling")
    result = run_once[0]
    recipe = source.make(
        source.config().parse(source.config().from_yaml(result.version.config_file))
    )
    examples = keep_examples(recipe, recipe.load_data(), result.version, result.folder)
    result = dataclasses.replace(result, examples=examples)
    printed = commands(summary(registry.find("slot_filling"), result))
    assert [words[:2] for words in printed] == [
        ["dlrecipes", verb] for verb in ("predict", "predict", "evaluate", "copy")
    ]
    outputs = []
    for words in printed:
        if "<" in words:
            start = words.index("<")
            content = Path(words[start + 1]).read_bytes()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            words = words[:start] + words[start + 2 :]
        answer = dlrecipes(*words[1:])
        assert (answer.code, answer.err) == (0, "")
        outputs.append(answer.out)
    # The first of the sentences in the file is the one of the first command.
    assert outputs[1].startswith(outputs[0])
    assert (result.folder / "examples" / "sentences.txt").read_text().count("\n") == 5


def closing(folder, recipe, examples):
    """Returns the closing message of a run with some example inputs."""
    metrics = {"test": {}, "validation": {}, "seconds": {"train": 1, "total": 2}}
    metrics |= {"best_epoch": 1, "epochs": 1}
    version = SimpleNamespace(folder=Path("saved_models") / recipe / "1")
    result = SimpleNamespace(
        folder=folder, version=version, metrics=metrics, examples=examples, metric_groups=()
    )
    return summary(registry.find(recipe), result)


def test_the_closing_message_says_below_the_scores_what_the_test_set_is(run_once):
    result = run_once[0]
    text = summary(registry.find("slot_filling"), result)
    table, _, rest = text.partition("\n\nThe test set is ")
    assert "span_f1" in table
    sentences = "The test set is " + rest.partition("\n\n")[0]
    assert " ".join(sentences.split()).startswith(result.metrics["test_set"])
    assert max(map(len, sentences.splitlines())) <= 100


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ((Path("runs/a b/cat-1.png"), Path("x.png")), 'facenet "runs/a b/cat-1.png" "x.png"'),
        (("--count", "16"), "facenet --count 16"),
        (("leave Beijing",), 'facenet "leave Beijing"'),
        (("costs $5",), "facenet 'costs $5'"),
        ((StandardInput(Path("runs/lines.txt")),), 'facenet - < "runs/lines.txt"'),
        ((Path("-x.png"),), 'facenet "./-x.png"'),
    ],
)
def test_inputs_are_quoted_for_the_shell(tmp_path, example, line):
    text = closing(tmp_path, "facenet", [example])
    assert f"\n  dlrecipes predict {line}\n" in text


def test_examples_are_named_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "facenet" / "monday"
    (folder / "examples").mkdir(parents=True)
    text = closing(folder, "facenet", [(folder / "examples" / "a.png",)])
    assert 'predict facenet "runs/facenet/monday/examples/a.png"\n' in text
    assert "\nExamples   runs/facenet/monday/examples\n" in text


def test_a_copy_is_suggested_under_a_name_that_is_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "dlrecipes copy facenet my_facenet " in closing(tmp_path, "facenet", [])
    (tmp_path / "my_facenet").mkdir()
    assert "dlrecipes copy facenet my_facenet_2 " in closing(tmp_path, "facenet", [])
