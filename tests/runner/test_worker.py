"""Workers agree on the settings; published versions may lie elsewhere on each worker's disk."""

import json

import pytest

from dlrecipes.distribute import Cluster
from dlrecipes.errors import UsageError
from dlrecipes.export import checksums
from dlrecipes.recipe import registry
from dlrecipes.runner import launch, worker

CHIEF = {"epochs": 3, "teacher": "/chief/1@sha256:aa", "start": "/chief/2@sha256:bb"}


@pytest.mark.parametrize(
    "own",
    [
        {"teacher": "/elsewhere/1@sha256:aa"},
        # The chief alone reads the version that a run begins with.
        {"start": "nowhere"},
    ],
)
def test_the_path_of_a_version_may_differ(own):
    settings = {**CHIEF, **own}
    assert worker._agreed(settings, CHIEF) == settings


@pytest.mark.parametrize(
    ("own", "option"),
    [({"teacher": "/chief/1@sha256:cc"}, "--teacher"), ({"epochs": 4}, "--epochs")],
)
def test_another_version_or_setting_is_refused(own, option):
    with pytest.raises(UsageError, match=f"not the chief's: {option}"):
        worker._agreed({**CHIEF, **own}, CHIEF)


def test_each_worker_finds_its_own_teacher_but_not_the_start(tmp_path):
    folder = tmp_path / "models" / "image_classification" / "3"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "model.keras").write_text("weights")
    facts = json.dumps({"recipe": "image_classification"})
    (folder / "assets.extra" / "metrics.json").write_text(facts)
    checksums.write(folder)
    options = launch.Launch("both", runs_dir=tmp_path, models_dir=tmp_path / "models")
    config, _ = launch._resolve(
        registry.find("image_classification"),
        {"teacher": "image_classification:3", "start": "nowhere"},
        None,
        options,
        tmp_path,
        Cluster(workers=2, is_chief=False, name="worker 1"),
    )
    digest = checksums.check_file(folder, "model.keras")
    assert config.teacher == f"{folder}@sha256:{digest}"
    assert config.start == "nowhere"
