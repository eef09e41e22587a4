"""`dlrecipes run`: mistakes are refused before anything is written; Ctrl-C can be resumed."""

import importlib
import json
import re
import shlex
import time

import pytest
import yaml

from dlrecipes.errors import UsageError
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder


def test_an_unknown_recipe_gets_the_nearest(refused):
    assert refused(recipe="slot_fillin") == [
        "Unknown recipe 'slot_fillin'.",
        "Did you mean 'slot_filling'?",
    ]


def test_all_wrong_options_are_reported_at_once(refused):
    first, *lines = refused("--epcohs", "3", "--units=0", "--cell", "lstmm", "--no-bidirectionl")
    assert first == "slot_filling: 4 settings are wrong:"
    assert sorted(line.split(":")[0] for line in lines) == [
        "cell",
        "epcohs",
        "no_bidirectionl",
        "units",
    ]
    assert {line.split("Did you mean ")[1] for line in lines if "Did" in line} == {
        "'epochs'?",
        "'lstm'?",
        "'bidirectional'?",
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("units", "4097"),
        ("units", "3.5"),
        ("dropout", "1"),
        ("learning-rate", "nan"),
        ("clip-norm", "inf"),
        ("seed", "-1"),
        ("encoding", ""),
        ("encoding", "hashing,hashing"),
        ("ngram-sizes", "3,10"),
    ],
)
def test_a_value_out_of_bounds_is_named(refused, option, value):
    _, line = refused(f"--{option}", value)
    assert line.startswith(f"{option.replace('-', '_')}: ")


@pytest.mark.parametrize(
    "options", [("--epochs",), ("--lowercase=maybe",), ("my_data",), ("--config", ".")]
)
def test_what_cannot_be_an_option_is_refused(refused, options):
    assert refused(*options)


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ("--data x --language chinese --examples 200", ["--language", "--examples"]),
        ("--word-column 2 --data-dir x", ["--data-dir", "--word-column"]),
        (
            "--encoding embedding --ngram-units 8 --ngram-sizes 2",
            ["--ngram-units", "--ngram-sizes"],
        ),
        ("--encoding hashing --word-units 8", ["--word-units"]),
        ("--cell feed_forward --bidirectional", ["--bidirectional"]),
    ],
)
def test_settings_that_others_leave_without_effect_are_refused_at_once(refused, options, problems):
    line = refused(*options.split())[0]
    assert line.startswith("slot_filling: no effect: ")
    assert re.findall(r"(--[a-z-]+): ", line) == problems


def test_settings_of_a_stored_run_may_be_without_effect(dlrecipes, asked, empty_directory):
    settings = {"ngram_units": 8, "encoding": ["embedding"]}
    whole = registry.find("slot_filling").config().parse(settings)
    (empty_directory / "best.yaml").write_text(whole.to_yaml())
    answer = dlrecipes("run", "slot_filling", "--config", "best.yaml")
    assert answer.code == 130
    # One line, without the settings that have their defaults.
    (note,) = [line for line in answer.out.splitlines() if line.startswith("Note: ")]
    assert note == "Note: best.yaml: no effect: --ngram-units: --encoding has no hashing."
    (empty_directory / "few.yaml").write_text("ngram_units: 8\nencoding: embedding\n")
    answer = dlrecipes("run", "slot_filling", "--config", "few.yaml")
    assert "--ngram-units: --encoding has no hashing" in answer.err


def test_a_model_of_other_data_is_not_replaced_silently(refused, empty_directory):
    extras = empty_directory / "saved_models" / "slot_filling-trips" / "1" / "assets.extra"
    extras.mkdir(parents=True)
    (extras / "config.yaml").write_text("data: /elsewhere/trips\n")
    (extras / "metrics.json").write_text('{"recipe": "slot_filling"}')
    first, hint = refused("--data", "trips")
    assert "trips/1: this version was trained on /elsewhere/trips; the run is on " in first
    assert "--publish-as NAME" in hint
    assert "another recipe" in refused("--publish-as", "dcgan")[0]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (("--language", "chinese"), "its model will be published as slot_filling-chinese"),
        ((), None),
    ],
)
def test_the_name_of_the_published_model_is_said_before_training(
    dlrecipes, empty_directory, monkeypatch, settings, line
):
    def fit(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("dlrecipes.runner.run"), "fit", fit)
    answer = dlrecipes("run", "slot_filling", "--examples", 100, *settings)
    assert answer.code == 130
    assert line in answer.out if line else "published as" not in answer.out


def test_no_name_of_a_published_model_is_said_if_the_data_cannot_be_read(
    dlrecipes, empty_directory
):
    (empty_directory / "trips").mkdir()
    answer = dlrecipes("run", "slot_filling", "--data", "trips")
    assert answer.code == 1
    assert "published as" not in answer.out + answer.err


@pytest.mark.parametrize("version", ["slot_filling", "slot_filling:7", "no/such/folder"])
def test_a_version_to_begin_with_has_to_exist(refused, version):
    assert refused("--start", version)[0].startswith(f"--start {version}: ")


def test_nothing_is_there_to_resume(refused):
    assert refused("--resume")[0].startswith("There is nothing to resume")
    assert "no run to resume" in refused("--resume", "--name", "monday")[0]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--resume", "monday"], "--name monday"),
        (["--resume=monday"], "--name monday"),
        (["--resume", "runs/slot_filling/monday/"], "--name monday"),
        (["--resume", "my runs/slot_filling/monday"], "--name monday --runs-dir 'my runs'"),
    ],
)
def test_the_name_of_a_run_after_resume_is_refused_with_what_to_type(refused, words, hint):
    message, next_line = refused(*words)
    assert message.endswith(": --resume takes no value.")
    assert next_line == f"Type --resume {hint}"


def test_a_value_without_an_option_is_refused(refused):
    message, hint = refused("--epochs", "3", "my", "photos")
    assert message == "my photos: not the value of an option."
    assert "needs quotes" in hint


def test_a_finished_run_is_not_resumed(refused, stored_run):
    folder = stored_run("monday")
    (folder / "metrics.json").write_text('{"published": "saved_models/slot_filling/1"}')
    assert "monday is finished" in refused("--resume", "--name", "monday")[0]
    assert refused("--resume")[0].startswith("There is nothing to resume")


def test_a_finished_run_is_resumed_with_more_epochs(dlrecipes, stored_run, asked):
    folder = stored_run("monday", units=3, epochs=2)
    checkpoint = folder / "checkpoints" / "epoch-0002"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text('{"history": [{}, {}], "stopped": false}')
    (folder / "metrics.json").write_text('{"published": "saved_models/slot_filling/1"}')
    refusal = dlrecipes("run", "slot_filling", "--resume", "--epochs", "2")
    assert refusal.code == 2
    assert "2 epochs are trained already" in refusal.err
    assert dlrecipes("run", "slot_filling", "--resume", "--epochs", "5").code == 130
    ((recipe, place, _),) = asked
    assert (recipe.config.epochs, recipe.config.units, place.name) == (5, 3, "monday")
    # Interrupted: now it is unfinished, with its new settings.
    assert dlrecipes("run", "slot_filling", "--resume").code == 130
    assert asked[1][0].config.epochs == 5


@pytest.mark.parametrize("options", [("--units", "3"), ("--config", "x.yaml"), ("--no-lowercase",)])
def test_resuming_takes_no_other_settings(refused, stored_run, options):
    stored_run("monday")
    assert refused("--resume", *options)[0] == "--resume uses the run's own settings."


def test_resuming_does_not_leave_the_folder_of_runs(refused, stored_run, empty_directory):
    stored_run("monday").rename(empty_directory / "monday")
    assert "without slashes" in refused("--resume", "--name", "../../monday")[0]


def test_a_run_with_a_damaged_configuration_is_not_resumed(refused, stored_run):
    path = stored_run("monday") / "config.yaml"
    path.write_text("units: 0\n")
    assert refused("--resume")[0].startswith("runs/slot_filling/monday/config.yaml: 1 setting")


@pytest.mark.parametrize("name", ["a/b", "..", ".", ".hidden", "", "  ", "/tmp/x"])
def test_a_name_is_the_name_of_a_folder(refused, name):
    assert "expected the name of a folder" in refused("--name", name)[0]


def test_a_name_is_used_once(refused, stored_run):
    stored_run("monday")
    first, hint = refused("--name", "monday")
    assert first == "runs/slot_filling/monday: there is a run of that name."
    assert "--resume" in hint


def test_wrong_yaml_is_named_with_its_file(refused, empty_directory):
    assert refused("--config", "nope.yaml")[0] == "nope.yaml: No such file or directory."
    path = empty_directory / "my.yaml"
    path.write_text("units: [\n")
    assert refused("--config", "my.yaml")[0].startswith("my.yaml:")
    path.write_text("- units\n")
    assert refused("--config", "my.yaml")[0].startswith("my.yaml: expected a line 'name: value'")
    path.write_text("unit: 3\ncell: rnn\n")
    first, *lines = refused("--config", "my.yaml", "--epochs", "0")
    assert first == "slot_filling, my.yaml: 3 settings are wrong:"
    assert sorted(line.split(":")[0] for line in lines) == ["cell", "epochs", "unit"]


def test_a_folder_for_models_that_cannot_be_made_is_refused_at_once(
    dlrecipes, empty_directory, asked
):
    (empty_directory / "file").write_text("")
    answer = dlrecipes("run", "slot_filling", "--models-dir", "file/models")
    assert (answer.code, asked) == (2, [])
    assert "file/models: models cannot be published here" in answer.err
    assert "--models-dir FOLDER" in answer.err
    assert {path.name for path in empty_directory.iterdir()} == {"file"}


def test_an_interrupted_run_says_how_to_resume(dlrecipes, empty_directory, asked):
    answer = dlrecipes("run", "slot_filling", "--name", "on monday")
    assert answer.code == 130
    (line,) = [line for line in answer.err.splitlines() if "--resume" in line]
    expected = ["dlrecipes", "run", "slot_filling", "--resume", "--name", "on monday"]
    assert shlex.split(line) == expected


def test_the_command_of_an_interrupted_run_resumes_it(
    dlrecipes, own_recipe, empty_directory, asked
):
    folder = own_recipe("my slots")
    places = ["--runs-dir", "other runs", "--models-dir", "other models"]
    answer = dlrecipes("run", folder, "--units", "16", *places)
    (line,) = [line for line in answer.err.splitlines() if "--resume" in line]
    run = asked[0][1]
    # The runner writes this first.
    (run / "config.yaml").write_text(asked[0][0].config.to_yaml())
    assert dlrecipes(*shlex.split(line)[1:]).code == 130
    (one, *places), (other, *again) = asked
    assert places == again
    assert one.config == other.config
    assert other.config.units == 16
    assert yaml.safe_load((run / "config.yaml").read_text())["units"] == 16


def test_options_take_precedence_over_the_yaml_file(dlrecipes, empty_directory, asked):
    (empty_directory / "my.yaml").write_text("units: 7\ndepth: 3\nlearning_rate: 1e-3\n")
    dlrecipes("run", "slot_filling", "--config", "my.yaml", "--depth=2", "--no-lowercase")
    config = asked[0][0].config
    assert (config.units, config.depth, config.learning_rate) == (7, 2, 0.001)
    assert not config.lowercase


def test_the_latest_unfinished_run_is_resumed(dlrecipes, stored_run, asked):
    stored_run("monday", units=3)
    time.sleep(0.01)
    stored_run("friday", units=4)
    time.sleep(0.01)
    finished = stored_run("sunday", units=5)
    (finished / "metrics.json").write_text('{"published": "somewhere"}')
    dlrecipes("run", "slot_filling", "--resume")
    assert asked[0][0].config.units == 4


@pytest.mark.parametrize("text", ["", "{", '{"test": {}}'])
def test_a_run_without_whole_metrics_is_not_finished(dlrecipes, stored_run, asked, text):
    (stored_run("monday", units=4) / "metrics.json").write_text(text)
    assert dlrecipes("run", "slot_filling", "--resume").code == 130
    assert asked[0][0].config.units == 4


@pytest.mark.parametrize("name", ["a/b", ".."])
def test_a_folder_that_is_refused_leaves_none_behind(tmp_path, name):
    with pytest.raises(UsageError):
        run_folder.new_folder(tmp_path / "runs", name)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    folders = [run_folder.new_folder(tmp_path / "runs", None) for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() for folder in folders)


def test_data_that_cannot_be_read_leaves_no_run_to_resume(dlrecipes, empty_directory):
    answer = dlrecipes("run", "slot_filling", "--data", "no_such_folder")
    assert answer.code == 1
    assert "no_such_folder" in answer.err
    assert list(empty_directory.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ({"history": [{}, {}], "stopped": False}, False),
        ({"history": [{}, {}], "stopped": True}, True),
        ({"history": [{}, {}, {}], "stopped": False}, True),
        (None, False),
    ],
)
def test_training_is_over_when_its_last_checkpoint_says_so(stored_run, state, over):
    folder = stored_run("monday", epochs=3)
    assert not run_folder.is_trained(folder)
    (folder / "checkpoints" / "epoch-0002").mkdir(parents=True)
    if state is not None:
        (folder / "checkpoints" / "epoch-0002" / "state.json").write_text(json.dumps(state))
    assert run_folder.is_trained(folder) == over
