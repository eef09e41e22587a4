"""`dlrecipes tune`: refused options leave nothing behind, and the best run has its folders."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def refused(dlrecipes, empty_directory):
    """Runs a search that is refused; returns the message."""

    def call(recipe, *options, code=2):
        answer = dlrecipes("tune", recipe, *options)
        assert (answer.code, answer.out) == (code, "")
        assert list(empty_directory.iterdir()) == [], "a refused command leaves nothing behind"
        return answer.err

    return call


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", 3, "--max-epochs", 3), "--epochs and --max-epochs are the same here"),
        (("--tuner", "hyperband", "--trials", 3), "--tuner hyperband chooses the number of trials"),
        (("--runs-dir", "r"), "--runs-dir has no effect without --publish"),
        (("--models-dir", "m"), "--models-dir has no effect without --publish"),
        (("--crop", 0.5), "no effect: --crop: the built-in faces fill their images"),
        (("--normalization", "both"), "each normalization needs a member"),
    ],
)
def test_options_that_contradict_each_other_are_refused(refused, options, message):
    assert message in refused("facenet", *options)


def test_data_that_cannot_be_read_are_refused_before_the_first_trial(refused, tmp_path):
    missing = tmp_path / "nothing"
    message = refused("dcgan", "--data", missing, code=1)
    assert message.splitlines()[0] == f"Error: {missing}: there is no such folder."


@pytest.fixture
def instant_search(monkeypatch):
    """Replaces the search by one that has ended; returns the options of the run at the end."""
    from dlrecipes.runner import launch
    from dlrecipes.tuning import report, search

    runs = []
    monkeypatch.setattr(search, "search", lambda spec, folder, on_update: SimpleNamespace())
    for name in ("rows", "write", "write_front", "draw", "summary"):
        monkeypatch.setattr(report, name, lambda *args: "")
    monkeypatch.setattr(report, "best", lambda *args: SimpleNamespace())
    monkeypatch.setattr(launch, "launch", lambda source, typed, file, options: runs.append(options))
    return runs


def test_the_published_run_is_in_the_given_folders(dlrecipes, empty_directory, instant_search):
    folders = ("--runs-dir", "mine/runs", "--models-dir", "mine/models")
    answer = dlrecipes("tune", "pix2pix", "--publish", *folders)
    assert answer.code == 0, answer.err
    (options,) = instant_search
    assert (str(options.runs_dir), str(options.models_dir)) == ("mine/runs", "mine/models")


def test_settings_without_effect_are_not_searched(dlrecipes, empty_directory, instant_search):
    assert dlrecipes("tune", "pix2pix", "--no-adversarial").code == 0
    spec = (empty_directory / "searches" / "pix2pix" / "search" / "search.yaml").read_text()
    assert "l1_weight" not in spec
    assert "learning_rate" in spec.split("space:")[1]


def test_a_setting_named_like_an_option_of_tune_has_one_of_its_own(
    dlrecipes, empty_directory, instant_search
):
    answer = dlrecipes("tune", "pix2pix", "--objective", "psnr:max", "--recipe-objective", "hinge")
    assert (answer.code, answer.err) == (0, "")
    search = (empty_directory / "searches" / "pix2pix" / "search" / "search.yaml").read_text()
    assert "  objective: hinge\n" in search
    assert "\nobjective: psnr max\n" in search


def test_limits_are_positive_numbers(refused):
    for value in ("0", "-1", "nan"):
        assert "--max-macs" in refused("pix2pix", "--max-macs", value)
