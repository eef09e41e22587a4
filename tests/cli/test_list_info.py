"""What there is, and what it can be told."""

import pytest

from dlrecipes.recipe import registry
from dlrecipes.recipe.options import settings, spelled


def test_list_shows_each_recipe_with_its_summary(dlrecipes):
    answer = dlrecipes("list")
    assert answer.code == 0
    lines = answer.out.split("\n\n")[0].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [source.name, source.summary] for source in registry.sources()
    ]


def test_info_shows_every_setting_with_default_and_help(dlrecipes):
    answer = dlrecipes("info", "slot_filling")
    assert answer.code == 0
    rows = [line.split() for line in answer.out.splitlines() if line.startswith("  --")]
    expected = settings(registry.find("slot_filling").config())
    assert rows == [
        [*s.written.split(), *spelled(s.default).split(), *s.help.split()] for s in expected
    ]


def test_info_says_what_is_published(dlrecipes, tmp_path):
    models = tmp_path / "models"
    assert (
        "Published: nothing yet\n" in dlrecipes("info", "slot_filling", "--models-dir", models).out
    )
    for name in ("1", "9", "10", ".publishing-11", "notes"):
        (models / "slot_filling" / name).mkdir(parents=True)
    answer = dlrecipes("info", "slot_filling", "--models-dir", models)
    assert f"Published: version 10 in {models / 'slot_filling'}\n" in answer.out


def test_published_models_are_listed_with_data_date_and_score(dlrecipes, run_once):
    result, models = run_once
    answer = dlrecipes("list", "--published", "--models-dir", models)
    header, row = answer.out.splitlines()
    assert header.split() == ["model", "version", "published", "test", "score", "trained", "on"]
    score = f"span_f1 {result.metrics['test']['span_f1']:.4f}"
    assert row.split() == [
        "slot_filling",
        "1",
        result.metrics["date"],
        *score.split(),
        *result.metrics["data"].split(),
    ]
    answer = dlrecipes("info", "slot_filling", "--models-dir", models)
    assert f"  slot_filling, version 1: trained on {result.metrics['data']}" in answer.out
    answer = dlrecipes("info", models / "slot_filling" / "1")
    assert f"recipe      slot_filling\ntrained on  {result.metrics['data']}\n" in answer.out
    empty = dlrecipes("list", "--published", "--models-dir", models / "nowhere")
    assert (empty.code, "no model is published there" in empty.out) == (0, True)


def test_info_shows_a_recipe_in_a_folder(dlrecipes, own_recipe):
    folder = own_recipe("my slots ä")
    answer = dlrecipes("info", folder)
    assert answer.code == 0
    assert answer.out.startswith("my slots ä: Mine: does nothing.\n")
    assert "README" not in answer.out
    (folder / "README.md").write_text("# Mine")
    assert f"README: {folder / 'README.md'}\n" in dlrecipes("info", folder).out


@pytest.mark.parametrize("module", ["__init__", "config"])
def test_info_names_the_line_of_a_broken_recipe(dlrecipes, own_recipe, module):
    folder = own_recipe(**{module: '"""Broken."""\nx = (\n'})
    answer = dlrecipes("info", folder)
    assert answer.code == 2
    assert answer.err.startswith(f"Error: {folder / module}.py:2: SyntaxError")


def test_info_of_an_unknown_recipe_names_the_nearest(dlrecipes):
    answer = dlrecipes("info", "slot_fill")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == ("Error: Unknown recipe 'slot_fill'.\n  Did you mean 'slot_filling'?\n")
