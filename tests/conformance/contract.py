"""What a conformance case says of a layer, a builder or a loss, and what the tests share."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest

FEATURES = 3

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exporting is TensorFlow's"
)


class LayerCase(NamedTuple):
    """How to build a layer, what it reads, and the few things that it cannot do.

    Args:
        make: Returns the layer; passes on keyword arguments such as `dtype`.
        shapes: Shape of each input without its batch axis; `None` is an axis whose size
            need not be known, tried at each of `sizes`.
        ids: For integer inputs: ids are below it.
        call: Applies the layer to the list of its inputs.
        public: Finds the public object in what `make` returns (a cell in its RNN).
        sizes: Sizes of the unknown axes.
        data: Makes inputs of given shapes that are not just normally distributed.
        masked: Whether the layer takes a mask over its first axis.
        independent: Whether an example's output depends on that example alone.
        tolerance: How far bfloat16 outputs may be from exact ones.
        not_learning: Weights (part of their path) without a gradient, each with the reason.
        not_lite: Why LiteRT cannot run it.
    """

    make: Callable[..., keras.layers.Layer]
    shapes: tuple[tuple[int | None, ...], ...] = ((None, FEATURES),)
    ids: int | None = None
    call: Callable = lambda layer, inputs: layer(*inputs)
    public: Callable = lambda layer: getattr(layer, "cell", layer)
    sizes: tuple[int, ...] = (5, 7, 1)
    data: Callable[[np.random.Generator, list[tuple[int, ...]]], list[np.ndarray]] | None = None
    masked: bool = False
    independent: bool = True
    tolerance: float = 0.05
    not_learning: dict[str, str] = {}  # noqa: RUF012
    not_lite: str = ""


class ModelCase(NamedTuple):
    """A builder with its arguments, inputs for it, and the few things that it cannot do.

    Args:
        builder: The builder's name.
        kwargs: Its arguments, small ones; or a function that returns them.
        inputs: Makes inputs by name from a batch size and a size (time, or height and width).
        outputs: Names of the outputs; a model with one output may give it without a name: `()`.
        sizes: Sizes tried; the first is the one that LiteRT is tried with too.
        independent: Whether an example's output depends on that example alone.
        tolerance: How far bfloat16 outputs may be from exact ones.
        not_learning: Weights (part of their path) without a gradient, each with the reason.
        not_lite: Why LiteRT cannot run it.
        any_size: Whether the symbolic inputs leave the size unknown.
    """

    builder: str
    kwargs: dict | Callable[[], dict]
    inputs: Callable[[int, int], dict[str, np.ndarray]]
    outputs: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (5, 7, 1)
    independent: bool = True
    tolerance: float = 0.05
    not_learning: dict[str, str] = {}  # noqa: RUF012
    not_lite: str = ""
    any_size: bool = True


class LossCase(NamedTuple):
    """Arguments of a loss: arrays it is differentiable in, and others given as they are.

    Args:
        arguments: Floating-point arrays by argument name; the gradient in each is checked.
        fixed: Further arguments.
    """

    arguments: dict[str, np.ndarray]
    fixed: dict = {}  # noqa: RUF012


def cases(package: str) -> dict:
    """Returns the `CASES` of all modules of a package, by name."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        more = importlib.import_module(f"{package}.{module.name}").CASES
        assert not set(found) & set(more)
        found |= more
    return found


def as_dict(outputs) -> dict[str, np.ndarray]:
    """Returns outputs as float32 arrays by name, in the order of `keras.tree.flatten`."""
    if not isinstance(outputs, dict):
        many = outputs if isinstance(outputs, list | tuple) else [outputs]
        outputs = {str(index): value for index, value in enumerate(many)}
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
        for name, value in sorted(outputs.items())
    }


def assert_equal(ours, theirs, **tolerance) -> None:
    """Fails unless both give the same outputs by name."""
    ours, theirs = as_dict(ours), as_dict(theirs)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name, **tolerance)


def assert_every_weight_learns(model, x, not_learning=()) -> None:
    """Fails unless the gradient of a random mix of the outputs is finite and nowhere all zero."""
    gradients = gradients_of(model, x)
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        if any(part in weight.path for part in not_learning):
            continue
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient != 0), weight.path


def gradients_of(model, x) -> list[np.ndarray | None]:
    """Returns the gradient of a random mix of the outputs in each trainable weight."""

    def mix(outputs):
        rng = np.random.default_rng(1)
        total = 0.0
        for y in keras.tree.flatten(outputs):
            upstream = rng.normal(size=y.shape).astype("float32")
            total += keras.ops.sum(keras.ops.cast(y, "float32") * upstream)
        return total

    if keras.backend.backend() == "jax":
        import jax

        others = [w.value for w in model.non_trainable_variables]
        found = jax.grad(
            lambda weights: mix(model.stateless_call(weights, others, x, training=True)[0])
        )([w.value for w in model.trainable_variables])
        return [np.asarray(one) for one in found]

    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = mix(model(x, training=True))
    found = tape.gradient(total, [w.value for w in model.trainable_weights])
    return [None if one is None else np.array(tf.convert_to_tensor(one)) for one in found]


def saved_and_loaded(model, folder):
    """Returns the SavedModel (its `serve` answers) that `model` was exported to."""
    import tensorflow as tf

    model.export(str(folder / "saved"), verbose=False)
    return tf.saved_model.load(str(folder / "saved"))


def lite_model(model, examples: list[dict[str, np.ndarray]], folder, sizes_known: bool = False):
    """Returns the model in the stock LiteRT interpreter, called with a dictionary.

    Axes at which the symbolic inputs, or the examples, differ stay unknown; the batch is 1.
    """
    import tensorflow as tf

    from dlrecipes import export
    from dlrecipes.recipe import Endpoint

    inputs = {tensor.name: tensor for tensor in model.inputs}
    specs = [
        tf.TensorSpec(
            [1, *(examples[0][name].shape[1:] if sizes_known else tensor.shape[1:])],
            tensor.dtype,
            name=name,
        )
        for name, tensor in inputs.items()
    ]

    def function(*tensors):
        outputs = model(dict(zip(inputs, tensors, strict=True)), training=False)
        if not isinstance(outputs, dict):
            many = outputs if isinstance(outputs, list | tuple) else [outputs]
            outputs = {str(index): value for index, value in enumerate(many)}
        return {f"y_{name}": value for name, value in outputs.items()}

    ordered = [tuple(x[name] for name in inputs) for x in examples]
    path = folder / "model.tflite"
    path.write_bytes(export.to_lite(Endpoint(function, specs, ordered)))
    lite = export.LiteModel(path)
    return lambda x: {name[2:]: value for name, value in sorted(lite(**x).items())}


def assert_lite_agrees(model, examples, folder, sizes_known=False) -> None:
    """Fails unless LiteRT, with built-in ops only, gives the model's outputs."""
    lite = lite_model(model, examples, folder, sizes_known)
    for x in examples:
        expected, found = as_dict(model(x)), as_dict(lite(x))
        assert set(expected) == set(found)
        for name in expected:
            bound = 1e-4 * max(1.0, float(np.max(np.abs(expected[name]), initial=0.0)))
            np.testing.assert_allclose(found[name], expected[name], atol=bound, err_msg=name)
