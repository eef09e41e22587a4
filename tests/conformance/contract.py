"""Conformance cases of layers, builders and losses, and the assertions that tests share."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest

from dlrecipes import models

FEATURES = 3

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


class LayerCase(NamedTuple):
    """How to build a layer, its inputs, and its known limits.

    Args:
        make: Returns the layer; passes on keyword arguments such as `dtype`.
        shapes: Shape of each input without the batch axis; `None` marks an axis of unknown
            size, which is tested at each of `sizes`.
        ids: Upper bound (exclusive) of integer inputs; `None` for floating-point inputs.
        call: Applies the layer to the list of its inputs.
        public: Returns the public object inside what `make` returns (a cell inside its RNN).
        sizes: Sizes of the unknown axes.
        data: Makes inputs of the given shapes; the default is a normal distribution.
        masked: Whether the layer takes a mask over its first axis.
        trainable: Whether the layer has trainable weights.
        independent: Whether an example's output depends only on that example.
        tolerance: Largest difference between bfloat16 and float32 outputs, absolute and relative.
        without_gradient: Weights (part of their path) without a gradient, each with the reason.
    """

    make: Callable[..., keras.layers.Layer]
    shapes: tuple[tuple[int | None, ...], ...] = ((None, FEATURES),)
    ids: int | None = None
    call: Callable = lambda layer, inputs: layer(*inputs)
    public: Callable = lambda layer: getattr(layer, "cell", layer)
    sizes: tuple[int, ...] = (5, 7, 1)
    data: Callable[[np.random.Generator, list[tuple[int, ...]]], list[np.ndarray]] | None = None
    masked: bool = False
    trainable: bool = True
    independent: bool = True
    tolerance: float = 0.05
    without_gradient: dict[str, str] = {}  # noqa: RUF012

    def arrays(self, batch: int, size: int) -> dict[str, np.ndarray]:
        """Returns inputs by name, the same ones at each call."""
        rng = np.random.default_rng(0)
        shapes = [
            (batch, *(size if axis is None else axis for axis in shape)) for shape in self.shapes
        ]
        if self.data is not None:
            values = self.data(rng, shapes)
        elif self.ids is not None:
            values = [rng.integers(0, self.ids, shape).astype("int32") for shape in shapes]
        else:
            values = [rng.normal(size=shape).astype("float32") for shape in shapes]
        return {f"input_{index}": value for index, value in enumerate(values)}

    def build(self, **kwargs) -> keras.Model:
        """Returns a functional model that consists of the layer."""
        dtypes = [value.dtype for value in self.arrays(1, self.sizes[0]).values()]
        inputs = [
            keras.Input(shape, dtype=str(dtype), name=f"input_{index}")
            for index, (shape, dtype) in enumerate(zip(self.shapes, dtypes, strict=True))
        ]
        outputs = self.call(self.make(**kwargs), inputs)
        return keras.Model({tensor.name: tensor for tensor in inputs}, outputs)


class ModelCase(NamedTuple):
    """A builder with its arguments, its inputs, and its known limits.

    Args:
        builder: Name of the builder.
        kwargs: Small arguments for it, or a function that returns them.
        arrays: Makes inputs by name from a batch size and a size (time, or height and width).
        outputs: Names of the outputs; empty for a model with a single unnamed output.
        sizes: Sizes to test; LiteRT models of a fixed size have the first one.
        independent: Whether an example's output depends only on that example.
        tolerance: Largest difference between bfloat16 and float32 outputs, absolute and relative.
        without_gradient: Weights (part of their path) without a gradient, each with the reason.
        any_size: Whether the symbolic inputs leave the size unknown.
        discontinuous: Outputs that rounding can change completely, each with the reason. In
            bfloat16 they only have to be finite and of the same shape.
    """

    builder: str
    kwargs: dict | Callable[[], dict]
    arrays: Callable[[int, int], dict[str, np.ndarray]]
    outputs: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (5, 7, 1)
    independent: bool = True
    tolerance: float = 0.05
    without_gradient: dict[str, str] = {}  # noqa: RUF012
    any_size: bool = True
    discontinuous: dict[str, str] = {}  # noqa: RUF012

    def arguments(self) -> dict:
        """Returns the builder's arguments."""
        return self.kwargs() if callable(self.kwargs) else self.kwargs

    def build(self) -> keras.Model:
        """Returns a new model."""
        return getattr(models, self.builder)(**self.arguments())


class LossCase(NamedTuple):
    """Arguments of a loss.

    Args:
        arguments: Floating-point arrays by argument name; the gradient with respect to each is
            checked.
        fixed: Further arguments.
    """

    arguments: dict[str, np.ndarray]
    fixed: dict = {}  # noqa: RUF012


class SharedModel:
    """One model of a case with its outputs, for all tests of that case, which do not change it.

    Args:
        case: Case of a layer or of a model.

    Attributes:
        weights: The initial weights; at the end they must still be equal.
    """

    def __init__(self, case: LayerCase | ModelCase):
        self.case = case
        self.model = case.build()
        self.weights = self.model.get_weights()
        self._outputs = {}

    def arrays(self, batch: int = 3, size: int | None = None) -> dict[str, np.ndarray]:
        """Returns inputs by name; the default size is the case's first one."""
        return self.case.arrays(batch, self.case.sizes[0] if size is None else size)

    def outputs(self, batch: int = 3, size: int | None = None) -> dict[str, np.ndarray]:
        """Returns the model's outputs for `arrays`, computed once."""
        key = batch, self.case.sizes[0] if size is None else size
        if key not in self._outputs:
            x = self.case.arrays(*key)
            self._outputs[key] = as_dict(self.model(model_inputs(self.model, x)))
        return self._outputs[key]

    def assert_unchanged(self) -> None:
        """Fails if a test changed the weights."""
        for weight, initial in zip(self.model.weights, self.weights, strict=True):
            np.testing.assert_array_equal(weight, initial, err_msg=weight.path)


def load_cases(package: str) -> dict:
    """Returns the `CASES` of all modules of a package, by name."""
    cases = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        more = importlib.import_module(f"{package}.{module.name}").CASES
        assert not set(cases) & set(more)
        cases |= more
    return cases


def model_inputs(model, x: dict):
    """Returns named inputs in the structure of the model's: a single input without its name."""
    return x if isinstance(model.input, dict) else x[model.input.name]


def as_dict(outputs) -> dict[str, np.ndarray]:
    """Returns outputs as float32 arrays by name, in the order of `keras.tree.flatten`."""
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
        for name, value in sorted(named(outputs).items())
    }


def named(outputs) -> dict:
    """Returns outputs by name; those without one are numbered."""
    if isinstance(outputs, dict):
        return outputs
    listed = outputs if isinstance(outputs, list | tuple) else [outputs]
    return {str(index): value for index, value in enumerate(listed)}


def assert_equal(actual, expected, **tolerance) -> None:
    """Fails unless both hold the same outputs by name."""
    actual, expected = as_dict(actual), as_dict(expected)
    assert list(actual) == list(expected)
    for name in actual:
        np.testing.assert_allclose(actual[name], expected[name], err_msg=name, **tolerance)


def assert_sizes_may_vary(shared: SharedModel) -> None:
    """Fails unless batch and size may vary and examples are independent.

    Independence is not required of a case that says otherwise.
    """
    case, model = shared.case, shared.model
    symbolic = keras.tree.flatten(model.output)
    for batch, size in zip((3, 2, 1), case.sizes, strict=False):
        outputs = shared.outputs(batch, size)
        for y, tensor in zip(outputs.values(), symbolic, strict=True):
            assert len(y.shape) == len(tensor.shape)
            for actual, expected in zip(y.shape, tensor.shape, strict=True):
                assert expected is None or actual == expected
        if case.independent and batch > 1:
            first = {name: value[:1] for name, value in shared.arrays(batch, size).items()}
            expected = {name: y[:1] for name, y in outputs.items()}
            assert_equal(model(model_inputs(model, first)), expected, atol=1e-5)


def assert_every_weight_has_gradient(shared: SharedModel) -> None:
    """Fails unless each weight's gradient is finite and not all zeros, except where excused."""
    model, excused = shared.model, shared.case.without_gradient
    for part, reason in excused.items():
        assert reason
        assert any(part in weight.path for weight in model.trainable_weights), part
    gradients = gradients_of(model, shared.arrays())
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        if any(part in weight.path for part in excused):
            continue
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient != 0), weight.path


def gradients_of(model, x) -> list[np.ndarray | None]:
    """Returns the gradient of a random mix of the outputs with respect to each trainable weight."""
    x = model_inputs(model, x)

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
        The gradient with respect to each of the tensors, then each of the variables. Without a
        path it is `None` (TensorFlow) or zeros (JAX).
    """
    total, sources = _pure(function, tensors, variables)
    if keras.backend.backend() == "jax":
        import jax

        return [np.asarray(gradient) for gradient in jax.grad(total)(sources)]

    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = total(sources)
    return [
        None if gradient is None else np.array(tf.convert_to_tensor(gradient))
        for gradient in tape.gradient(y, sources)
    ]


def slopes(function: Callable, *tensors, variables=(), step: float = 1e-5) -> list[np.ndarray]:
    """Returns central differences, which `gradients` must equal.

    On JAX this needs the fixture `float64` and a function that keeps that type in every step:
    most of `keras.ops` computes in 32 bits there.
    """
    total, sources = _pure(function, tensors, variables)
    compiled = _compiled(total)
    sources = [np.array(source, "float64") for source in sources]
    differences = [np.zeros_like(source) for source in sources]
    for source, difference in zip(sources, differences, strict=True):
        for index in np.ndindex(source.shape):
            value, sides = source[index], []
            for sign in (1, -1):
                source[index] = value + sign * step
                sides.append(float(compiled([keras.ops.array(array) for array in sources])))
            source[index] = value
            difference[index] = (sides[0] - sides[1]) / (2 * step)
    return differences


def _pure(function, tensors, variables):
    """Returns a function of one list (tensors, then the variables' values), and that list."""
    count = len(tensors)

    def call(sources):
        mapping = list(zip(variables, sources[count:], strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*sources[:count])

    return call, [*map(keras.ops.convert_to_tensor, (*tensors, *(v.value for v in variables)))]


def _compiled(function):
    # In eager mode JAX would compile the loops inside again at each call.
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


def saved_and_loaded(model, folder):
    """Exports the model; returns the loaded SavedModel, whose `serve` is the model's function."""
    import tensorflow as tf

    model.export(str(folder / "saved"), verbose=False)
    return tf.saved_model.load(str(folder / "saved"))


def lite_model(model, examples: list[dict[str, np.ndarray]], folder, sizes_known: bool = False):
    """Returns a function of inputs by name that runs the model in the stock LiteRT interpreter.

    Axes of unknown size stay unknown, except the batch axis, whose size is 1, and all of them if
    `sizes_known`.
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
        outputs = named(model(model_inputs(model, x), training=False))
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
        expected, actual = as_dict(model(model_inputs(model, x))), as_dict(lite(x))
        assert set(expected) == set(actual)
        for name in expected:
            bound = 1e-4 * max(1.0, float(np.max(np.abs(expected[name]), initial=0.0)))
            np.testing.assert_allclose(actual[name], expected[name], atol=bound, err_msg=name)
