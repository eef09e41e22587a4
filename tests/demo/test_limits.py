"""The page refuses files, images and texts that are too large, before they take memory."""

import zlib

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from dlrecipes.demo import app, digits, faces, images, limits, paint, poems, requests, sentences


@pytest.fixture
def pixels(monkeypatch):
    """Applies the limit on pixels for one test."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    limits.limit_pixels()


def png(path, width, height):
    """Writes a file of 100 bytes that declares an image of any size."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + checksum

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def fields(module, model, kind):
    with gr.Blocks() as blocks:
        module.build(model)
    return [block for block in blocks.blocks.values() if isinstance(block, kind)]


def payload(field, path):
    if isinstance(field, gr.ImageEditor):
        return field.data_model(background={"path": str(path)}, layers=[], composite=None)
    return field.data_model(path=str(path))


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        (digits, "digits", gr.ImageEditor),
        (paint, "facades", gr.ImageEditor),
        (faces, "faces", gr.Image),
        (images, "photos", gr.Image),
    ],
)
def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(
    models, pixels, tmp_path, module, name, kind
):
    huge = png(tmp_path / "huge.png", 50_000, 50_000)
    inputs = [
        field for field in fields(module, models[name], kind) if field.interactive is not False
    ]
    assert inputs
    for field in inputs:
        with pytest.raises(gr.Error, match="more than 25 megapixels"):
            field.preprocess(payload(field, huge))


def test_an_image_of_ordinary_size_is_decoded(models, pixels, tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (40, 30), "white").save(path)
    (field, *_) = fields(faces, models["faces"], gr.Image)
    assert np.asarray(field.preprocess(payload(field, path))).shape == (30, 40, 3)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(gr.Error, match="not an image"):
        field.preprocess(payload(field, tmp_path / "text.png"))


LONG = "x" * (limits.MAX_TEXT + 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda models: sentences.tag(models["slots"], LONG),
        lambda models: poems.write_poem(models["poems"], LONG, "five", "", True, 0.8, 0),
        lambda models: poems.write_poem(models["poems"], "", "five", LONG, True, 0.8, 0),
        lambda models: poems.continue_text(models["poems"], LONG, 10, 0.8, 0),
        lambda models: requests.respond(models["halves"], "", " " * (limits.MAX_REQUEST + 1)),
    ],
)
def test_a_text_that_is_too_long_is_refused(models, call):
    with pytest.raises(gr.Error, match=r"at most .* are accepted"):
        call(models)


def test_files_events_and_their_time_are_bounded(models, monkeypatch):
    launched = {}
    monkeypatch.setattr(gr.Blocks, "launch", lambda blocks, **options: launched.update(options))
    monkeypatch.setattr(app, "wait", lambda *about: None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    app.serve(list(models.values()), "127.0.0.1", 7860)
    assert launched["max_file_size"] == "20mb"
    assert app.page(list(models.values())).delete_cache == limits.DELETE_FILES
