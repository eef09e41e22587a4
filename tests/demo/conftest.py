"""Untrained SavedModels with the signatures of the recipes, and with signatures of other kinds."""

import base64
import json
import zlib

import numpy as np
import pytest

pytest.importorskip("gradio")

import tensorflow as tf

DIGITS = [str(digit) for digit in range(10)]


def spec(dtype, *shape, name):
    return tf.TensorSpec(list(shape), dtype, name=name)


IMAGES = spec(tf.uint8, None, None, None, None, name="images")


def write(folder, **functions):
    """Writes a SavedModel; each signature is a pair of a function and its input specs."""
    module = tf.Module()
    signatures = {
        name: tf.function(function, input_signature=specs).get_concrete_function()
        for name, (function, specs) in functions.items()
    }
    tf.saved_model.save(module, str(folder / "1"), signatures=signatures)


def ink(images):
    """Classifies an image as "1" if less than 30% of it is dark, and as "8" otherwise."""
    dark = tf.reduce_mean(tf.cast(images < 128, tf.float32), axis=[1, 2, 3])
    digit = tf.where(dark < 0.3, 1, 8)
    batch = tf.shape(images)[0]
    return {
        "label": tf.gather(tf.constant(DIGITS), digit),
        "probabilities": tf.one_hot(digit, 10),
        "classes": tf.tile(tf.constant([DIGITS]), [batch, 1]),
    }


def tag_capitals(sentences):
    tokens = tf.strings.split(sentences).to_tensor("")
    capital = tf.strings.regex_full_match(tokens, "[A-Z].*")
    return {
        "tokens": tokens,
        "tags": tf.where(capital, "B-city", "O"),
        "intent": tf.fill([tf.shape(tokens)[0]], "find_trip"),
    }


def poem(**request):
    known = request["theme"] != "xyzzy"
    line = tf.where(request["line_length"] == 7, "黄河远上白云间", "白日依山尽")
    pattern = tf.where(request["line_length"] == 7, "PP*ZZPP", "*Z*PZ")
    return {
        "lines": tf.tile(line[:, None], [1, 4]),
        "pattern": tf.tile(pattern[:, None], [1, 4]),
        "rhyme": tf.fill(tf.shape(line), "an"),
        "problem": tf.where(known, "", "xyzzy: none of its characters are in the vocabulary."),
    }


POEM = [
    spec(tf.string, None, name="theme"),
    spec(tf.string, None, name="first_line"),
    spec(tf.string, None, name="acrostic"),
    spec(tf.int32, None, name="line_length"),
    spec(tf.int32, None, name="template"),
    spec(tf.int32, None, name="rhyme"),
    spec(tf.bool, None, name="enforce"),
    spec(tf.float32, None, name="temperature"),
    spec(tf.int32, None, name="top_k"),
    spec(tf.float32, None, name="top_p"),
    spec(tf.int64, None, name="seed"),
]


def mean_colour(images):
    """Embeds an image as its mean colour."""
    return {"embedding": tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2]) / 255}


def explain(image_bytes):
    """Draws each image inverted."""

    def inverted(file):
        return tf.io.encode_png(255 - tf.io.decode_png(file, 3))

    return {
        "explanation_bytes": tf.map_fn(
            inverted, image_bytes, fn_output_signature=tf.TensorSpec([], tf.string)
        )
    }


def ink_of_files(image_bytes):
    images = tf.map_fn(
        lambda file: tf.io.decode_png(file, 3), image_bytes, fn_output_signature=tf.uint8
    )
    return ink(images)


def store_example(version, signature, **inputs):
    """Writes inputs to a version's stored examples, as publishing does."""
    packed = {}
    for name, values in inputs.items():
        tensor = tf.constant(values)
        content = zlib.compress(tf.io.serialize_tensor(tensor).numpy())
        content = base64.b64encode(content).decode()
        packed[name] = f"{content}:{tensor.dtype.name}"
    (version / "assets.extra").mkdir(exist_ok=True)
    stored = {"signatures": {signature: [{"inputs": packed, "outputs": {}}]}}
    (version / "assets.extra" / "examples.json").write_text(json.dumps(stored))


def invert(images):
    return {"images": 255 - images[..., :3]}


def blur(images):
    """Describes an image by its mean colour, and restores an image of that colour."""
    code = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])
    restored = tf.cast(tf.broadcast_to(code[:, None, None], tf.shape(images)), tf.uint8)
    return {"code": code, "restored": restored, "error": tf.reduce_max(code, axis=1)}


def find_ink(images):
    """Finds a dark column over the whole height, and less surely its upper half."""
    dark = tf.reduce_any(images < 128, axis=[1, 3])
    left = tf.cast(tf.argmax(tf.cast(dark, tf.int32), axis=1), tf.float32)
    height = tf.zeros_like(left) + tf.cast(tf.shape(images)[1], tf.float32)
    boxes = [tf.stack([left, 0 * left, left + 1, edge], -1) for edge in (height, height / 2)]
    batch = tf.shape(images)[0]
    return {
        "boxes": tf.stack([*boxes, tf.zeros_like(boxes[0])], axis=1),
        "scores": tf.tile([[0.9, 0.4, 0.0]], [batch, 1]),
        "labels": tf.tile([["stroke", "half", ""]], [batch, 1]),
        "count": tf.fill([batch], 2),
    }


def noise(seed, count):
    pixels = tf.random.stateless_uniform([count[0], 8, 8, 1], [seed[0], 0], 0, 256, tf.int32)
    return {"images": tf.cast(pixels, tf.uint8)}


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A folder of published models, one for each kind of tab."""
    root = tmp_path_factory.mktemp("demo") / "saved_models"
    write(root / "digits", images=(ink, [IMAGES]))
    write(root / "slots", serving_default=(tag_capitals, [spec(tf.string, None, name="sentences")]))
    store_example(root / "slots" / "1", "serving_default", sentences=["to Oslo", "to Rome"])
    names = [tensor.name for tensor in POEM]
    write(
        root / "poems",
        generate=(lambda *values: poem(**dict(zip(names, values, strict=True))), POEM),
    )
    write(root / "faces", images=(mean_colour, [IMAGES]))
    (root / "faces" / "1" / "assets.extra").mkdir()
    (root / "faces" / "1" / "assets.extra" / "threshold.txt").write_text("0.5\n")
    write(root / "facades", images=(invert, [IMAGES]))
    files = [spec(tf.string, None, name="image_bytes")]
    for name in ("photos", "photos-of-mine"):
        write(
            root / name,
            serving_default=(ink_of_files, files),
            images=(ink, [IMAGES]),
            explain=(explain, files),
        )
    white = tf.io.encode_png(np.full((9, 7, 3), 255, "uint8")).numpy()
    store_example(root / "photos" / "1", "serving_default", image_bytes=[white] * 8)
    write(root / "objects", images=(find_ink, [IMAGES]))
    write(root / "codes", images=(blur, [IMAGES]))
    (root / "codes" / "1" / "assets.extra").mkdir()
    errors = "".join(f"{percentile}\n" for percentile in range(101))
    (root / "codes" / "1" / "assets.extra" / "errors.txt").write_text(errors)
    integers = [spec(tf.int32, 1, name=name) for name in ("seed", "count")]
    write(root / "samples", serving_default=(noise, integers))
    write(
        root / "halves",
        serving_default=(lambda x: {"y": x / 2}, [spec(tf.float32, None, name="x")]),
    )
    write(
        root / "doubles",
        serving_default=(lambda x: {"y": 2 * x}, [spec(tf.float32, None, name="x")]),
    )
    store_example(root / "doubles" / "1", "serving_default", x=[1.5, 2.5])
    return root


@pytest.fixture(scope="session")
def models(published):
    """The loaded models, by name."""
    from dlrecipes.demo import app

    return {model.name: model for model in app.load(published)}


@pytest.fixture(scope="session")
def stroke():
    """A white image with a thin black stroke."""
    image = np.full((40, 40, 3), 255, "uint8")
    image[5:35, 20] = 0
    return image
