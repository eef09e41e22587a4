"""LiteRT files: conversion with built-in ops only, and the stock interpreter."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from dlrecipes._utils.memory import large_blocks_released, release_memory
from dlrecipes.errors import PublishError, RecipeError
from dlrecipes.export.keras_errors import plain
from dlrecipes.export.litert_interpreter import LiteRTModel
from dlrecipes.export.litert_kinds import LITERT_KINDS
from dlrecipes.export.litert_support import check_supported, conversion_error
from dlrecipes.export.names import by_name
from dlrecipes.export.quantization import quantize
from dlrecipes.export.signatures import Signature

WARM_UP_CALLS, LATENCY_CALLS, LATENCY_SECONDS = 3, 30, 0.3


def concrete_function(signature: Signature) -> tf.types.experimental.ConcreteFunction:
    """Returns the function of a signature as a single graph for all its examples.

    Raises:
        PublishError: If the function cannot be traced, or does not return tensors by name.
    """
    try:
        concrete = signature.traced
    except RecipeError:
        raise
    except Exception as error:
        raise PublishError(
            f"The model cannot be traced as a graph: {plain(error).rstrip('.')}.",
            "Use keras.ops or TensorFlow's functions in place of Python's and NumPy's.",
        ) from error
    outputs = concrete.structured_outputs
    if not isinstance(outputs, Mapping) or not all(isinstance(name, str) for name in outputs):
        raise PublishError(
            "A signature's function must return a dictionary of tensors by name.",
            'Return a dictionary: {"y": y}.',
        )
    return concrete


def convert(
    signature: Signature,
    kind: str = "float32",
    calibration: Sequence[tuple[np.ndarray, ...]] = (),
    layers: Collection[str] = (),
) -> bytes:
    """Converts a function to LiteRT with built-in ops only, including recurrent networks.

    Args:
        signature: Signature with the function.
        kind: Format: `"float32"`; `"float16"`, with float16 weights; `"dynamic"`, with int8
            weights; or `"int8"`, with int8 weights, activations, inputs and outputs. Defaults to
            `"float32"`.
        calibration: Inputs that determine the value ranges for `"int8"`. Defaults to none.
        layers: Names of the model's layers, for error messages. Defaults to none.

    Raises:
        LiteRTError: If LiteRT cannot run the function.
    """
    (content,) = convert_each(signature, [kind], calibration, layers)
    return content


def convert_each(
    signature: Signature,
    kinds: Collection[str],
    calibration: Sequence[tuple[np.ndarray, ...]] = (),
    layers: Collection[str] = (),
) -> Iterator[bytes]:
    """Yields a function in several LiteRT formats, of which it is frozen only once.

    The variables are frozen to constants first, because loops of unknown length over variables
    are converted to TensorFlow ("Flex") ops. The frozen graph is saved as a SavedModel, the only
    form in which the converter keeps the names of inputs and outputs.

    Args:
        signature: Signature with the function.
        kinds: Formats, as `convert` takes them.
        calibration: Inputs that determine the value ranges for `"int8"`. Defaults to none.
        layers: Names of the model's layers, for error messages. Defaults to none.

    Raises:
        LiteRTError: If LiteRT cannot run the function.
    """
    for kind in kinds:
        if kind not in LITERT_KINDS:
            raise ValueError(f"kind must be {', '.join(LITERT_KINDS)}, got {kind!r}.")
    concrete = concrete_function(signature)
    check_supported(signature, concrete, layers)
    # Conversion copies the weights many times.
    with tempfile.TemporaryDirectory() as folder, large_blocks_released():
        with _conversion_errors(concrete, layers):
            _save_frozen(signature, concrete, folder)
        release_memory()
        float32 = b""
        for kind in kinds:
            # Quantization begins with the float32 file.
            if kind == "int8" and float32:
                content = float32
            else:
                with _conversion_errors(concrete, layers):
                    content = _converted(folder, kind)
                release_memory()
            if kind == "float32":
                float32 = content
            yield quantize(content, _by_name(signature, calibration)) if kind == "int8" else content


@contextlib.contextmanager
def _conversion_errors(
    concrete: tf.types.experimental.ConcreteFunction, layers: Collection[str]
) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        raise conversion_error(str(error), concrete.graph.as_graph_def(), layers) from error


def _save_frozen(
    signature: Signature, concrete: tf.types.experimental.ConcreteFunction, folder: str
) -> None:
    frozen = convert_variables_to_constants_v2(concrete)
    names = sorted(concrete.structured_outputs)

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return by_name("LiteRT", names, frozen(*tensors))

    function = tf.function(named, input_signature=list(signature.inputs))
    tf.saved_model.save(
        tf.Module(),
        folder,
        signatures=function.get_concrete_function(),
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def _converted(folder: str, kind: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if kind in ("float16", "dynamic"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _by_name(
    signature: Signature, examples: Sequence[tuple[np.ndarray, ...]]
) -> Iterator[dict[str, np.ndarray]]:
    for example in examples:
        pairs = zip(signature.inputs, example, strict=True)
        yield {spec.name: np.asarray(x, spec.dtype.as_numpy_dtype) for spec, x in pairs}


def latencies(
    models: Mapping[str, LiteRTModel],
    signature: Signature,
    examples: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> dict[str, float]:
    """Returns each model's median time of a call with one example, in milliseconds.

    The models are called in turn, so that changes in the machine's speed affect them equally: a
    few dozen times each, or for about 0.3 seconds each if they are slow.

    Args:
        models: Models by name.
        signature: Signature of the models, with an example.
        examples: Inputs by name of models with other inputs. Defaults to `None`: none.
    """
    names = [spec.name for spec in signature.inputs]
    is_batch = all(spec.shape.rank and spec.shape[0] is None for spec in signature.inputs)
    example = [array[:1] if is_batch else array for array in signature.examples[0]]
    inputs = dict.fromkeys(models, by_name("LiteRT", names, example)) | dict(examples or {})
    seconds: dict[str, list[float]] = {name: [] for name in models}
    end = time.perf_counter() + LATENCY_SECONDS * len(models)
    for call in range(WARM_UP_CALLS + LATENCY_CALLS):
        if call > WARM_UP_CALLS and time.perf_counter() > end:
            break
        for name, model in models.items():
            start = time.perf_counter()
            model(**inputs[name])
            seconds[name].append(time.perf_counter() - start)
    return {
        name: statistics.median(times[WARM_UP_CALLS:]) * 1000 for name, times in seconds.items()
    }
