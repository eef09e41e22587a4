"""The cross-validation of facenet: folds, resuming, and the table of its README."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from dlrecipes.errors import DataError
from dlrecipes.recipe.registry import find

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "people.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="not a checkout")


@pytest.fixture
def people(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("people", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "people", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CSV", tmp_path / "people.csv")
    return module


@pytest.fixture
def folders(tmp_path):
    """Thirty people, half of them in each of two parts."""
    paths = [
        tmp_path / "data" / part / f"s{number}"
        for part, numbers in (("train", range(1, 16)), ("test", range(16, 31)))
        for number in numbers
    ]
    for path in paths:
        path.mkdir(parents=True)
        (path / "1.pgm").write_bytes(b"")
    return paths


def test_all_settings_are_those_of_the_recipe(people):
    for candidate in people.CANDIDATES.values():
        find("facenet").config().parse({**people.COMMON, **candidate.settings})


def test_each_person_is_excluded_in_one_fold(people, folders, monkeypatch, tmp_path):
    splits = []

    def score(seen, unseen, settings, members):
        splits.append((seen, unseen))
        return {label: {"eer": 0.1, "rank1": 0.9} for label in members}, 0.2

    monkeypatch.setattr(people, "score", score)
    everyone = people.people_of(tmp_path / "data")
    assert [path.name for path in everyone] == [f"s{number}" for number in range(1, 31)]
    for fold in range(1, 7):
        people.measure(people.CANDIDATES["no-warps"], everyone, fold, 0, "model")
    assert [path for _, unseen in splits for path in unseen] == everyone
    for seen, unseen in splits:
        assert len(unseen) == 5
        assert sorted([*seen, *unseen]) == sorted(everyone)
    # Runs in people.csv are not repeated.
    people.measure(people.CANDIDATES["no-warps"], everyone, 6, 0, "model")
    assert len(splits) == 6
    people.measure(people.CANDIDATES["no-warps"], everyone, 6, 1, "model")
    people.measure(people.CANDIDATES["no-glasses"], everyone, 6, 0, "model")
    assert len(splits) == 8


def test_too_few_people_are_rejected(people, folders, tmp_path):
    for path in folders[11:]:
        (path / "1.pgm").unlink()
        path.rmdir()
    with pytest.raises(DataError, match="expected at least 12 people, got 11"):
        people.people_of(tmp_path / "data")


def test_the_table_has_the_mean_and_the_range_of_complete_seeds(people, monkeypatch):
    monkeypatch.setattr(people, "FOLDS", 2)
    rows = [
        dict(zip(people.COLUMNS, values, strict=True))
        for values in (
            ("pair", "1", "0", "0.010", "0.90", "0.1", "20"),
            ("one", "1", "0", "0.050", "0.80", "0.1", ""),
            ("pair", "2", "0", "0.020", "1.00", "0.3", "30"),
            ("one", "2", "0", "0.060", "0.70", "0.3", ""),
            ("pair", "1", "1", "0.070", "0.95", "0.1", "40"),
            ("pair", "2", "1", "0.040", "0.95", "0.3", "50"),
            ("pair", "1", "2", "0.900", "0.10", "0.1", "60"),
        )
    ]
    # (1 + 2 + 7 + 4) / 4, (90 + 100 + 95 + 95) / 4, (20 + 30 + 40 + 50) / 4. The pixels count
    # once per fold.
    assert people.table(rows).splitlines()[2:] == [
        "| pair | 3.5 % (1.0 to 7.0) | 95.0 % (90.0 to 100.0) | 2 folds, 2 seeds | 35 |",
        "| one | 5.5 % (5.0 to 6.0) | 75.0 % (70.0 to 80.0) | 2 folds, 1 seed |  |",
        "| the images themselves | 20.0 % (10.0 to 30.0) |  |  |  |",
    ]


def test_the_readme_states_the_committed_runs(people):
    with SCRIPT.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    readme = (find("facenet").folder / "README.md").read_text(encoding="utf-8")
    assert people.table(rows) in readme
