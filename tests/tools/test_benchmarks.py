"""The benchmarks' plans fit the recipes, so that a renamed setting or metric is noticed."""

from pathlib import Path

import pytest
import yaml

from dlrecipes.recipe.readme import read_results
from dlrecipes.recipe.registry import find, sources

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(params=[source.name for source in sources()])
def recipe(request):
    return request.param


def plan_of(name):
    return yaml.safe_load((BENCHMARKS / f"{name}.yaml").read_text(encoding="utf-8"))


def test_every_option_of_a_plan_is_a_setting_of_the_recipe(recipe):
    plan, config = plan_of(recipe), find(recipe).config()
    for entry in plan["configurations"]:
        options = {**plan.get("options", {}).get(entry["data"], {}), **entry.get("options", {})}
        config.parse(options, f"benchmarks/{recipe}.yaml")


def test_the_results_table_has_the_metrics_and_labels_of_the_plan(recipe):
    plan = plan_of(recipe)
    rows = read_results(find(recipe).folder / "results.csv")
    planned = {(entry["data"], entry["configuration"]) for entry in plan["configurations"]}
    assert {row["metric"] for row in rows} == set(plan["metrics"])
    assert {(row["data"], row["configuration"]) for row in rows} <= planned
