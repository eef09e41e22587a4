"""The Pareto front equals its definition, and its table and commands name the trials."""

import csv
import io
import itertools
import random

import pytest

from dlrecipes.tuning.pareto import Row, cost_of, front, short, table


def row(name, score, **about):
    return Row(str(name), "done" if score is not None else "failed", score, {"width": 2.0}, about)


def dominates(one, other, direction):
    sign = 1 if direction == "max" else -1
    gains = (sign * (one.score - other.score), other.about["macs"] - one.about["macs"])
    return min(gains) >= 0 and max(gains) > 0


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_front_is_every_trial_that_no_other_one_dominates(direction):
    generator = random.Random(0)
    for count in (1, 2, 5, 40):
        for _ in range(50):
            # Few values, so that many trials tie in one of them or in both.
            trials = [
                row(k, generator.randint(-3, 3) / 4, macs=generator.randint(1, 6))
                for k in range(count)
            ]
            expected = {
                one.name
                for one in trials
                if not any(dominates(other, one, direction) for other in trials)
            }
            found = front(trials, "macs", direction)
            assert {one.name for one in found} == expected
            assert [one.about["macs"] for one in found] == sorted(
                one.about["macs"] for one in found
            )


def test_trials_that_are_equal_in_both_are_all_on_the_front():
    trials = [row(0, 0.9, macs=5), row(1, 0.9, macs=5), row(2, 0.9, macs=6), row(3, 0.8, macs=5)]
    assert [one.name for one in front(trials, "macs", "max")] == ["0", "1"]


def test_the_cost_is_macs_where_all_trials_have_them_and_differ():
    assert cost_of([row(0, 1, macs=1, parameters=1), row(1, 1, macs=2, parameters=1)]) == "macs"
    assert cost_of([row(0, 1, macs=1, parameters=1), row(1, 1, parameters=2)]) == "parameters"
    assert cost_of([row(0, 1, macs=1, parameters=1), row(1, 1, macs=1, parameters=2)]) == (
        "parameters"
    )
    assert cost_of([row(0, 1, macs=1), row(1, 2, macs=1)]) is None
    assert cost_of([]) is None


def test_the_table_has_settings_costs_and_commands():
    trials = [row(3, 0.75, macs=1000, parameters=10), row(7, 0.875, macs=2000, parameters=9)]
    text = table(trials, "accuracy", ["width", "depth"], {"3": "run three", "7": "run seven"})
    first, second = csv.DictReader(io.StringIO(text))
    assert first == {
        "trial": "3",
        "accuracy": "0.75",
        "macs": "1000",
        "parameters": "10",
        "width": "2",
        "depth": "",
        "command": "run three",
    }
    assert (second["trial"], second["command"]) == ("7", "run seven")


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (999, "999"), (1000, "1 k"), (12_345, "12.3 k"), (999_999, "1 M"), (4.2e9, "4.2 G")],
)
def test_counts_are_short(number, text):
    assert short(number) == text


def overlapping(figure):
    """Returns the pairs of texts of a drawn figure that overlap."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for axis in figure.axes
        for text in [axis.title, *axis.texts, *axis.get_yticklabels(), *axis.get_xticklabels()]
        if text.get_visible() and text.get_text()
    ]
    return [(a, b) for (a, x), (b, y) in itertools.combinations(boxes, 2) if x.overlaps(y)]


@pytest.fixture(scope="module")
def drawn():
    """A search with every kind of setting, whose trials are close to one another."""
    from dlrecipes.recipe import RecipeConfig, Search, setting
    from dlrecipes.tuning.spec import SearchSpec

    class Config(RecipeConfig):
        rate: float = setting(1e-3, "R.", gt=0, search=Search(1e-5, 1e-1, "log"))
        narrow: float = setting(0.1, "N.", gt=0, search=Search(0.0713, 0.0719))
        encoding: str = setting(
            "one_of_n",
            "E.",
            search=Search(choices=("one_of_n", "hashing", "embedding", "peephole_lstm")),
        )
        units: int = setting(64, "U.", ge=1, search=Search(32, 256, "log"))

    spec = SearchSpec("r", Config, objective=("accuracy", "max"))
    generator = random.Random(0)
    trials = []
    for k in range(12):
        values = {
            "rate": 10 ** generator.uniform(-5, -1),
            "encoding": generator.choice(["one_of_n", "hashing"]),
            "units": generator.randint(32, 256),
        }
        # The default of `narrow` is outside of its range, and not all trials have it.
        values |= {"narrow": generator.uniform(0.0713, 0.0719)} if k else {"narrow": 0.1}
        if k % 4 == 3:
            del values["narrow"]
        score, macs = 0.98 + 0.001 * k, 1_000_000 + 1000 * k
        trials.append(Row(str(k), "done", score, values, {"macs": macs}, has_defaults=k == 0))
    trials.insert(5, Row("12", "failed", None, {}, {}, "why"))
    return spec, trials


def test_labels_of_the_parallel_coordinates_do_not_overlap(drawn):
    from dlrecipes.tuning.figures import parallel

    spec, trials = drawn
    figure = parallel(spec, [one for one in trials if one.score is not None])
    assert overlapping(figure) == []
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"one_of_n", "peephole_lstm", "1e-05", "0.001", "0.1", "no effect"} <= texts
    # The best trial, on top of the others.
    widest = max(figure.axes[0].lines, key=lambda line: line.get_linewidth())
    assert widest.get_label() == "best: trial 11"
    assert "trial 11" in figure.axes[0].get_title()


def test_logarithmic_ranges_have_logarithmic_axes(drawn):
    from dlrecipes.tuning.figures import parallel

    spec, trials = drawn
    figure = parallel(spec, [one for one in trials if one.score is not None])
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    row_of_rates = places["1e-05"][1]
    assert places["0.001"] == pytest.approx((0.5, row_of_rates))


def test_labels_of_the_pareto_front_do_not_overlap(drawn):
    from dlrecipes.tuning.figures import trade_off

    spec, trials = drawn
    done = [one for one in trials if one.score is not None]
    figure = trade_off(spec, done, front(done, "macs", "max"), "macs")
    assert overlapping(figure) == []
    numbers = ", ".join(text.get_text() for text in figure.axes[0].texts)
    assert set(numbers.split(", ")) == {one.name for one in done}


def test_a_cost_of_several_magnitudes_has_several_labels(drawn):
    from dlrecipes.tuning.figures import trade_off

    spec, _ = drawn
    done = [row(k, 0.5 + k / 10, macs=cost) for k, cost in enumerate((3_500_000, 42_000_000))]
    figure = trade_off(spec, done, front(done, "macs", "max"), "macs")
    assert overlapping(figure) == []
    low, high = figure.axes[0].get_xlim()
    ticks = figure.axes[0].xaxis.get_major_formatter()
    labels = [ticks(tick) for tick in figure.axes[0].get_xticks() if low < tick < high]
    # A margin of 8 % of the logarithm, on each side: 2.9 M to 51 M.
    assert labels == ["5 M", "10 M", "20 M", "50 M"]


def test_trials_have_their_numbers_on_the_axis(drawn):
    from dlrecipes.tuning.figures import by_trial

    spec, trials = drawn
    axis = by_trial(spec, trials).axes[0]
    dots, *_ = [line for line in axis.lines if line.get_label() == "trial"]
    assert list(dots.get_xdata()) == list(range(12))
    (failed,) = [line for line in axis.lines if line.get_label() == "failed"]
    assert list(failed.get_xdata()) == [12, 12]
