"""Small SavedModels to serve, as anyone may have them."""

import pytest
import tensorflow as tf


class HalfPlusTwo(tf.Module):
    """TensorFlow Serving's own example: x / 2 + a constant, and signatures of other kinds."""

    def __init__(self, constant=2.0):
        super().__init__()
        self.constant = tf.Variable(constant)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half(self, x):
        tf.debugging.assert_less(x, 1000.0, message="too large")
        return {"y": x / 2 + self.constant}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.int32, name="a"),
            tf.TensorSpec([None], tf.string, name="text"),
        ]
    )
    def two(self, a, text):
        return {"sum": tf.reduce_sum(a, axis=1), "text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[])
    def known(self):
        return {"constant": self.constant + 0.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def parsed(self, examples):
        spec = {"x": tf.io.FixedLenFeature([], tf.float32)}
        x = tf.io.parse_example(examples, spec)["x"]
        classes = tf.tile([["small", "large"]], [tf.shape(x)[0], 1])
        return {
            "outputs": x / 2 + self.constant,
            "classes": classes,
            "scores": tf.stack([-x, x], axis=1),
        }


def save(folder, constant=2.0):
    model = HalfPlusTwo(constant)
    tf.saved_model.save(
        model,
        str(folder),
        signatures={
            "serving_default": model.half,
            "two": model.two,
            "scalar": model.scalar,
            "known": model.known,
            "classify_x": model.parsed,
            "regress_x": model.parsed,
        },
    )
    _rename_methods(folder)
    return folder


def _rename_methods(folder):
    # As models of TensorFlow 1 have it; TensorFlow 2 writes 'predict' alone.
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(path.read_bytes())
    for name in ("classify", "regress"):
        signature = model.meta_graphs[0].signature_def[f"{name}_x"]
        signature.method_name = f"tensorflow/serving/{name}"
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A version's folder, to be copied."""
    return save(tmp_path_factory.mktemp("saved") / "half")


@pytest.fixture(scope="session")
def save_model():
    """Saves a version to a folder, with another constant."""
    return save
