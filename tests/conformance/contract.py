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
    keras.backend.backend() != "tensorflow", reason="only TensorFlow can do this"
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
        discontinuous: Outputs that rounding can change wholly, each with the reason: bfloat16
            ones only have to be finite and of the same shape.
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
    discontinuous: dict[str, str] = {}  # noqa: RUF012


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


def given(model, x: dict):
    """Returns inputs by name as the model takes them: a single plain one without its name."""
    return x if isinstance(model.input, dict) else x[model.input.name]


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
    x = given(model, x)

    def mix():
        rng = np.random.default_rng(1)
        total = 0.0
        for y in keras.tree.flatten(model(x, training=True)):
            upstream = rng.normal(size=y.shape).astype("float32")
            total += keras.ops.sum(keras.ops.cast(y, "float32") * upstream)
        return total

    return gradients(mix, variables=model.trainable_variables)


def gradients(function: Callable, *tensors, variables=()) -> list[np.ndarray | None]:
    """Returns the gradient of `function(*tensors)`, a scalar, on any backend.

    Args:
        function: Written with `keras.ops`; its layers are built.
        tensors: Floating-point arrays.
        variables: Keras variables that the function reads.

    Returns:
        The gradient in each of the tensors, then in each of the variables; where there is
        none, `None` (TensorFlow) or zeros (JAX).
    """
    total, sources = _pure(function, tensors, variables)
    if keras.backend.backend() == "jax":
        import jax

        return [np.asarray(gradient) for gradient in jax.grad(total)(sources)]

    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = total(sources)
    found = tape.gradient(y, sources)
    return [None if one is None else np.array(tf.convert_to_tensor(one)) for one in found]


def slopes(function: Callable, *tensors, variables=(), step: float = 1e-5) -> list[np.ndarray]:
    """Returns the central differences that `gradients` must equal.

    With JAX they want the fixture `float64` and a function whose every step keeps that type;
    most of `keras.ops` computes in 32 bits there.
    """
    total, sources = _pure(function, tensors, variables)
    compiled = _compiled(total)
    sources = [np.array(source, "float64") for source in sources]
    found = [np.zeros_like(source) for source in sources]
    for source, slope in zip(sources, found, strict=True):
        for index in np.ndindex(source.shape):
            kept, sides = source[index], []
            for sign in (1, -1):
                source[index] = kept + sign * step
                sides.append(float(compiled([keras.ops.array(one) for one in sources])))
            source[index] = kept
            slope[index] = (sides[0] - sides[1]) / (2 * step)
    return found


def _pure(function, tensors, variables):
    """Returns a function of one list, of tensors and of the variables' values, and that list."""
    count = len(tensors)

    def call(sources):
        mapping = list(zip(variables, sources[count:], strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*sources[:count])

    return call, [*map(keras.ops.convert_to_tensor, (*tensors, *(v.value for v in variables)))]


def _compiled(function):
    # Run eagerly, JAX would compile each loop within anew at each call.
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


def gradient_in_input(layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the factors of a mix of a layer's outputs and its gradient in one example."""
    one = keras.Input((1,), name="one")
    # The example is the kernel of a Dense layer, for gradients are those of weights.
    source = keras.layers.Dense(x.size, use_bias=False)
    model = keras.Model({"one": one}, layer(keras.layers.Reshape(x.shape)(source(one))))
    source.kernel.assign(x.reshape(1, -1))
    ones = {"one": np.ones((1, 1), "float32")}
    factors = np.random.default_rng(1).normal(size=model(ones).shape).astype("float32")
    return factors[0], gradients_of(model, ones)[0].reshape(x.shape)


def numeric_gradient(function: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Returns central differences of a NumPy function, in float64."""
    x = x.astype("float64")
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        change = np.zeros_like(x)
        change[index] = 1e-5
        gradient[index] = (function(x + change) - function(x - change)) / 2e-5
    return gradient


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

    from dlrecipes.export import litert
    from dlrecipes.recipe import Signature

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
        x = dict(zip(inputs, tensors, strict=True))
        outputs = model(given(model, x), training=False)
        if not isinstance(outputs, dict):
            many = outputs if isinstance(outputs, list | tuple) else [outputs]
            outputs = {str(index): value for index, value in enumerate(many)}
        return {f"y_{name}": value for name, value in outputs.items()}

    ordered = [tuple(x[name] for name in inputs) for x in examples]
    path = folder / "model.tflite"
    path.write_bytes(litert.convert(Signature(function, specs, ordered)))
    interpreter = litert.LiteRTModel(path)
    return lambda x: {name[2:]: value for name, value in sorted(interpreter(**x).items())}


def assert_lite_agrees(model, examples, folder, sizes_known=False) -> None:
    """Fails unless LiteRT, with built-in ops only, gives the model's outputs."""
    lite = lite_model(model, examples, folder, sizes_known)
    for x in examples:
        expected, found = as_dict(model(given(model, x))), as_dict(lite(x))
        assert set(expected) == set(found)
        for name in expected:
            bound = 1e-4 * max(1.0, float(np.max(np.abs(expected[name]), initial=0.0)))
            np.testing.assert_allclose(found[name], expected[name], atol=bound, err_msg=name)
