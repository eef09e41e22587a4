"""What the page's tabs show of what published models answer."""

import gradio as gr
import numpy as np
import pytest

from dlrecipes.data.generated.facades import PALETTE
from dlrecipes.demo import app, digits, faces, paint, poems, requests, samples, sentences
from dlrecipes.errors import UsageError


def test_each_model_gets_the_tab_of_its_kind(models):
    found = {}
    for name, model in models.items():
        build = next(build for fits, build in app.KINDS if fits(model))
        found[name] = build.__module__.rsplit(".", 1)[1]
    assert found == {
        "digits": "digits",
        "slots": "sentences",
        "poems": "poems",
        "faces": "faces",
        "facades": "paint",
        "samples": "samples",
        "halves": "requests",
    }


def test_the_page_is_laid_out(models):
    tabs = [
        block.label
        for block in app.page(list(models.values())).blocks.values()
        if isinstance(block, gr.Tab)
    ]
    assert tabs == sorted(models)


def test_a_drawing_is_told_by_its_probabilities(models, white):
    found = digits.said(models["digits"], {"composite": white})
    assert max(found, key=found.get) == "1"
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("drawn", [None, {"composite": None}])
def test_nothing_drawn_says_nothing(models, drawn):
    assert digits.said(models["digits"], drawn) == {}
    assert paint.drawn_of(models["facades"], drawn) is None


def test_a_blank_page_says_nothing(models, white):
    assert digits.said(models["digits"], {"composite": np.full_like(white, 255)}) == {}
    clear = np.zeros((*white.shape[:2], 4), "uint8")
    assert digits.said(models["digits"], {"composite": clear}) == {}


def test_what_is_transparent_is_white():
    image = np.zeros((1, 3, 4), "uint8")
    image[0, :, 3] = 0, 255, 51
    # Black, of which a fifth covers white: 255 * 0.8 is left.
    assert digits.on_white(image)[0].tolist() == [[255] * 3, [0] * 3, [204] * 3]


def test_slots_are_marked_in_the_sentence(models):
    pieces, intent = sentences.said(models["slots"], "leave Beijing now")
    assert pieces == [("leave ", None), ("Beijing", "city"), ("now ", None)]
    assert intent == "find_trip"


def test_a_poem_has_a_mark_for_each_tone(models):
    page = poems.written(models["poems"], "明月", "seven", "", True, 0.8, 3)
    assert page.count("<tr") == 4
    assert page.count("<td") == 28
    # PP*ZZPP of each line, and once more in the legend.
    assert [page.count(mark) for mark in "●○·"] == [4 * 4 + 1, 4 * 2 + 1, 4 + 1]


def test_a_theme_that_is_not_known_is_one_line(models):
    with pytest.raises(gr.Error, match="no character of it is known"):
        poems.written(models["poems"], "xyzzy", "five", "", True, 0.8, 0)


def test_a_field_that_was_never_touched_has_its_first_value(models, monkeypatch):
    # As a browser may send it: nothing, of each.
    model, asked = models["poems"], {}
    ask = model.ask
    monkeypatch.setattr(
        model, "ask", lambda *name, **given: asked.update(given) or ask(*name, **given)
    )
    assert poems.written(model, *[None] * 6).count("<tr") == 4
    first = {"theme": ["明月".encode()], "acrostic": [b""], "line_length": [5], "enforce": [True]}
    assert {name: asked[name] for name in first} == first
    assert (asked["temperature"], asked["seed"]) == ([0.8], [0])
    pieces, _ = sentences.said(models["slots"], None)
    shown = "".join(text for text, _ in pieces).replace(" ", "")
    assert shown == sentences.SENTENCE.replace(" ", "")
    with pytest.raises(gr.Error, match="No values in"):
        requests.answered(models["halves"], "serving_default", None)


def test_two_faces_are_compared_with_the_threshold(models, white):
    assert faces.said(models["faces"], white, None) == ""
    assert "**One person**: the squared distance is 0," in faces.said(models["faces"], white, white)
    black = np.zeros((9, 7, 3), "uint8")
    near_white = np.full((9, 7, 3), 255, "uint8")
    # Three channels that differ by 1 each.
    assert "**Two people**: the squared distance is 3," in faces.said(
        models["faces"], black, near_white
    )


def test_a_design_has_the_colours_of_the_classes_and_is_drawn(models):
    design = paint.designed(2)
    assert {tuple(colour) for colour in design.reshape(-1, 3)} <= {tuple(c) for c in PALETTE}
    found = paint.drawn_of(models["facades"], {"composite": design})
    np.testing.assert_array_equal(found, 255 - design)


def test_a_seed_draws_the_same_samples(models):
    first, again, other = (samples.samples(models["samples"], seed, 3) for seed in (1, 1, 2))
    assert len(first) == 3
    assert first[0].shape == (96, 96, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_any_model_takes_a_request(models):
    assert requests.told(models["halves"], "serving_default") == "`x`: float32 of shape (None,)"
    answer = requests.answered(models["halves"], "serving_default", '{"instances": [1, 3]}')
    assert answer.split() == ["{", '"predictions":', "[", "0.5,", "1.5", "]", "}"]
    with pytest.raises(gr.Error, match="JSON Parse error"):
        requests.answered(models["halves"], "serving_default", "{")


def test_what_does_not_load_is_told_and_left_out(tmp_path, capsys):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="no model is published there"):
        app.load(tmp_path)
    assert "it cannot be loaded" in capsys.readouterr().err
