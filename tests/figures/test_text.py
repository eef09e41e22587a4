"""Figures of text: tagged sentences."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Affine2D

from dlrecipes.figures import BLUE, tagged_sentences


def words(figure):
    return [item.get_text() for item in figure.axes[0].texts if item.get_text()]


def test_a_wrong_tag_stands_above_the_true_one():
    tokens = [["to", "Rome"], ["to", "Oslo"]]
    truth = [["O", "B-to"], ["O", "B-to"]]
    figure = tagged_sentences(tokens, truth, [["O", "B-to"], ["O", "B-from"]])
    # Sentences with mistakes come first.
    assert words(figure) == ["to", "Oslo", "B-from", "B-to", "to", "Rome", "B-to"]
    assert "1 of 2 have a wrong tag" in figure.axes[0].get_title()


def test_half_of_the_sentences_are_mistakes_and_short_ones_come_first():
    short, long = ["short"], ["long"] * 19
    tokens = [long, short, long, short]
    truth = [["O"] * len(sentence) for sentence in tokens]
    wrong = [["B-x"] * len(sentence) for sentence in tokens]
    figure = tagged_sentences(tokens, truth, [*wrong[:2], *truth[2:]], most=2)
    assert words(figure) == ["short", "B-x", "O", "short"]


def boxes(figure):
    """Returns the places of all texts of a figure in inches, by text."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [item for item in figure.axes[0].texts if item.get_text()]
    return [
        (item.get_text(), item.get_window_extent(renderer).transformed(scale(1 / figure.dpi)))
        for item in texts
    ]


def scale(factor):
    return Affine2D().scale(factor)


def test_words_have_even_gaps_and_no_text_covers_another():
    tokens = ["MMMM", "iiii", "las", "vegas", "fares", "北京", "to"]
    tags = ["O", "O", "B-toloc.city_name", "I-toloc.city_name", "O", "O", "O"]
    figure = tagged_sentences([tokens], [tags], [tags])
    placed = boxes(figure)
    words = [box for text, box in placed if text in tokens]
    gaps = [after.x0 - before.x1 for before, after in itertools.pairwise(words)]
    # Letters have margins of their own, of a few hundredths of an inch.
    assert all(abs(gap - 0.09) < 0.04 for gap in gaps), gaps
    for (_, first), (_, second) in itertools.combinations(placed, 2):
        assert not first.overlaps(second)
    width = figure.get_size_inches()[0]
    assert all(box.x0 >= 0 and box.x1 <= width for _, box in placed)


def test_a_long_tag_pushes_the_next_tagged_word_only():
    tags = ["B-" + "long" * 8, "O", "B-x"]
    words = dict(boxes(tagged_sentences([["a", "b", "c"]], [tags], [tags])))
    assert words["b"].x0 - words["a"].x1 < 0.15
    assert words["c"].x0 >= words[tags[0]].x1


def test_the_line_of_a_tag_has_no_gaps_where_another_tag_moves_words():
    tokens = ["Orlando", "next", "month"]
    predicted = ["B-city", "I-city", "I-city"]
    figure = tagged_sentences(
        [tokens], [["B-city", "B-arrival_date", "I-arrival_date"]], [predicted]
    )
    blue = [line.get_xdata() for line in figure.axes[0].lines if line.get_color() == BLUE]
    # Each piece begins where the word before ends.
    assert all(after[0] == before[1] for before, after in itertools.pairwise(blue))
    assert words(figure).count("B-arrival_date") == 1
    assert "I-arrival_date" not in words(figure)


def test_a_sentence_that_does_not_fit_the_page_is_cut():
    tokens = ["word"] * 200
    shown = words(tagged_sentences([tokens], [["O"] * 200], [["O"] * 200]))
    assert shown[-1] == "…"
    assert len(shown) < 60


def test_words_that_look_like_formulas_are_drawn_unchanged(tmp_path):
    import matplotlib

    odd = ["$_$", "a$b^$", "\\foo", "$$"]
    with matplotlib.rc_context({"text.parse_math": False}):
        figure = tagged_sentences([odd], [["B-$_$"] * 4], [["O"] * 4])
        figure.savefig(tmp_path / "odd.png")
