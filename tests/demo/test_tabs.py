"""The page's tabs and how they present the outputs of published models."""

import json

import gradio as gr
import numpy as np
import pytest

from dlrecipes.data.generated.facades import PALETTE
from dlrecipes.demo import (
    app,
    boxes,
    digits,
    faces,
    images,
    paint,
    photos,
    poems,
    requests,
    restored,
    samples,
    sentences,
)
from dlrecipes.errors import UsageError


def test_each_model_gets_the_tab_of_its_kind(models):
    modules = {}
    for name, model in models.items():
        build = next(build for fits, build in app.KINDS if fits(model))
        modules[name] = build.__module__.rsplit(".", 1)[1]
    assert modules == {
        "digits": "digits",
        "slots": "sentences",
        "poems": "poems",
        "faces": "faces",
        "facades": "paint",
        "samples": "samples",
        "photos": "images",
        "photos-of-mine": "images",
        "objects": "boxes",
        "codes": "restored",
        "halves": "requests",
        "doubles": "requests",
    }


def test_the_page_has_one_tab_per_model(models):
    tabs = [
        block.label
        for block in app.page(list(models.values())).blocks.values()
        if isinstance(block, gr.Tab)
    ]
    assert tabs == sorted(models)


def test_a_drawing_gets_class_probabilities(models, stroke):
    probabilities = digits.classify(models["digits"], {"composite": stroke})
    assert max(probabilities, key=probabilities.get) == "1"
    assert sum(probabilities.values()) == pytest.approx(1)


def test_a_photograph_gets_class_probabilities_and_a_heat_map(models, stroke):
    probabilities, heat_map = images.classify(models["photos"], stroke)
    assert max(probabilities, key=probabilities.get) == "1"
    np.testing.assert_array_equal(heat_map, 255 - stroke)
    assert images.classify(models["photos"], None) == ({}, None)


def test_objects_are_drawn_and_listed_from_the_chosen_score_on(models, stroke):
    drawing, rows = boxes.detect(models["objects"], stroke, 0.5)
    assert rows == [["stroke", 0.9, 20.0, 0.0, 21.0, 40.0]]
    assert drawing.shape == stroke.shape
    assert (drawing != stroke).any()
    _, rows = boxes.detect(models["objects"], stroke, 0.3)
    assert [row[0] for row in rows] == ["stroke", "half"]


def test_an_image_is_restored_and_its_error_is_compared_with_usual_ones(models):
    model = models["codes"]
    assert restored.restore(model, None) == (None, "")
    image, text = restored.restore(model, np.full((5, 4, 3), 42, "uint8"))
    np.testing.assert_array_equal(image, np.full((5, 4, 3), 42))
    # The percentiles of usual errors are 0 to 100, and this error is 42.
    assert text.startswith("3 numbers, squared error 42.00: larger than for 42 % of the")


def test_no_object_leaves_the_image_as_it_is(models, stroke):
    drawing, rows = boxes.detect(models["objects"], stroke, 0.95)
    assert rows == []
    np.testing.assert_array_equal(drawing, stroke)
    assert boxes.detect(models["objects"], None, 0.5) == (None, [])


def test_transparent_parts_of_a_photograph_become_white(models):
    transparent = np.zeros((5, 5, 4), "uint8")
    # The heat map of this model is the inverted image.
    assert images.classify(models["photos"], transparent)[1].max() == 0


def test_photographs_are_uploaded_pasted_or_taken(models):
    with gr.Blocks() as blocks:
        images.build(models["photos"])
    image, heat_map = (block for block in blocks.blocks.values() if isinstance(block, gr.Image))
    assert image.sources == ["upload", "webcam", "clipboard"]
    assert heat_map.interactive is False


def test_stored_test_images_are_examples(models):
    examples = photos.example_images(models["photos"])
    assert [example.shape for example in examples] == [(9, 7, 3)] * 6
    assert photos.example_images(models["photos-of-mine"]) == []
    with gr.Blocks() as blocks:
        images.build(models["photos"])
    (dataset,) = (block for block in blocks.blocks.values() if isinstance(block, gr.Dataset))
    assert len(dataset.samples) == 6


def test_stored_examples_are_requests(models):
    first, second = requests.example_requests(models["doubles"], "serving_default")
    for body, doubled in ((first, 3.0), (second, 5.0)):
        response = requests.respond(models["doubles"], "serving_default", body)
        assert json.loads(response) == {"outputs": [doubled]}
    assert requests.example_requests(models["halves"], "serving_default") == [requests.REQUEST]


def test_stored_sentences_are_examples(models):
    with gr.Blocks() as blocks:
        sentences.build(models["slots"])
    (dataset,) = (block for block in blocks.blocks.values() if isinstance(block, gr.Dataset))
    assert dataset.samples == [["to Oslo"], ["to Rome"]]


def test_a_photo_is_classified_like_a_drawing(models, stroke):
    drawn = digits.classify(models["digits"], {"composite": stroke})
    assert digits.classify_photo(models["digits"], stroke) == drawn
    assert digits.classify_photo(models["digits"], None) == {}


def test_each_canvas_selects_its_own_brush_when_its_tab_is_shown(models):
    page = app.page([models["digits"], models["facades"]])
    scripts = [str(function.js) for function in page.fns.values() if function.js]
    canvases = [block for block in page.blocks.values() if isinstance(block, gr.ImageEditor)]
    # On loading the page, and on opening the tab.
    assert [sum(f"#{canvas.elem_id} " in text for text in scripts) for canvas in canvases] == [2, 2]


@pytest.mark.parametrize("drawing", [None, {"composite": None}])
def test_a_missing_drawing_has_no_result(models, drawing):
    assert digits.classify(models["digits"], drawing) == {}
    assert paint.translate(models["facades"], drawing) is None


def test_a_blank_drawing_has_no_result(models, stroke):
    assert digits.classify(models["digits"], {"composite": np.full_like(stroke, 255)}) == {}
    transparent = np.zeros((*stroke.shape[:2], 4), "uint8")
    assert digits.classify(models["digits"], {"composite": transparent}) == {}


def test_transparent_pixels_become_white():
    image = np.zeros((1, 3, 4), "uint8")
    image[0, :, 3] = 0, 255, 51
    # The third pixel is black with an alpha of 51/255 = 0.2 on white: 255 * 0.8 = 204.
    assert digits.composite_on_white(image)[0].tolist() == [[255] * 3, [0] * 3, [204] * 3]


def test_slots_are_marked_in_the_sentence(models):
    pieces, intent = sentences.tag(models["slots"], "leave Beijing now")
    assert pieces == [("leave ", None), ("Beijing", "city"), ("now ", None)]
    assert intent == "find_trip"


def test_a_poem_has_a_mark_for_each_tone(models):
    page = poems.write_poem(models["poems"], "明月", "seven", "", True, 0.8, 3)
    assert page.count("<tr") == 4
    assert page.count("<td") == 28
    # Each of the four lines has the pattern PP*ZZPP, and the legend has each mark once.
    assert [page.count(mark) for mark in "●○·"] == [4 * 4 + 1, 4 * 2 + 1, 4 + 1]


def test_an_unknown_theme_is_reported(models):
    with pytest.raises(gr.Error, match="none of its characters are in the vocabulary"):
        poems.write_poem(models["poems"], "xyzzy", "five", "", True, 0.8, 0)


def test_an_untouched_field_has_its_initial_value(models, monkeypatch):
    # A browser may send None for each field.
    model, inputs = models["poems"], {}
    ask = model.ask
    monkeypatch.setattr(
        model, "ask", lambda *name, **values: inputs.update(values) or ask(*name, **values)
    )
    assert poems.write_poem(model, *[None] * 6).count("<tr") == 4
    initial = {"theme": ["明月".encode()], "acrostic": [b""], "line_length": [5], "enforce": [True]}
    assert {name: inputs[name] for name in initial} == initial
    assert (inputs["temperature"], inputs["seed"]) == ([0.8], [0])
    pieces, _ = sentences.tag(models["slots"], None)
    sentence = "".join(text for text, _ in pieces).replace(" ", "")
    assert sentence == sentences.SENTENCE.replace(" ", "")
    with pytest.raises(gr.Error, match="No values in"):
        requests.respond(models["halves"], "serving_default", None)


def test_two_faces_are_compared_with_the_threshold(models, stroke):
    model = models["faces"]
    assert faces.compare(model, stroke, None) == ""
    assert "**Same person**: the squared distance is 0," in faces.compare(model, stroke, stroke)
    black = np.zeros((9, 7, 3), "uint8")
    white = np.full((9, 7, 3), 255, "uint8")
    # Each of the three channels differs by 1.
    assert "**Different people**: the squared distance is 3," in faces.compare(model, black, white)


def test_an_example_label_map_has_the_palette_and_is_translated(models):
    label_map = paint.example_label_map(2)
    assert {tuple(colour) for colour in label_map.reshape(-1, 3)} <= {tuple(c) for c in PALETTE}
    image = paint.translate(models["facades"], {"composite": label_map})
    np.testing.assert_array_equal(image, 255 - label_map)


def test_a_seed_reproduces_its_samples(models):
    first, again, other = (samples.samples(models["samples"], seed, 3) for seed in (1, 1, 2))
    assert len(first) == 3
    assert first[0].shape == (96, 96, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_other_models_answer_json_requests(models):
    assert (
        requests.describe_inputs(models["halves"], "serving_default")
        == "`x`: float32 of shape (None,)"
    )
    response = requests.respond(models["halves"], "serving_default", '{"instances": [1, 3]}')
    assert response.split() == ["{", '"predictions":', "[", "0.5,", "1.5", "]", "}"]
    with pytest.raises(gr.Error, match="JSON Parse error"):
        requests.respond(models["halves"], "serving_default", "{")


def test_a_broken_model_is_reported_and_left_out(tmp_path, capsys):
    for name in ("two\nlines", ".hidden"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="no model is published there"):
        app.load(tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Note: ")
    assert "two\\nlines/1 cannot be loaded" in line


def test_the_digit_tab_names_the_classes_of_other_data():
    assert digits.task(list("0123456789")) == "Draw a digit."
    assert digits.task(["circle", "square"]) == "Draw one of 2 classes: `circle`, `square`."
    assert digits.task([f"c{k}" for k in range(40)]).endswith("`c29`, ...")
