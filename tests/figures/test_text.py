"""Figures of text: tagged sentences."""

from dlrecipes.figures import tagged_sentences


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
