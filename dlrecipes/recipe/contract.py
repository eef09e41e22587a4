"""Checks of the results of a recipe's methods, for the recipes of users."""

from __future__ import annotations

import json
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlrecipes.recipe.base import Splits
from dlrecipes.recipe.example_files import ExampleFile

_PARTS = ("train", "validation", "test")


class ContractError(ValueError):
    """A method returned something else than the contract of recipes says.

    Args:
        message: The expected and the returned result.
        method: Name of the method to mend. Defaults to `""`: the one that returned it.
    """

    def __init__(self, message: str, method: str = ""):
        super().__init__(message)
        self.method = method


def _type(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _expect(value: Any, kind: type | tuple[type, ...], name: str, what: str) -> None:
    if isinstance(value, kind) and not (isinstance(value, str) and kind is Sequence):
        return
    hint = " Is a 'return' missing?" if value is None else ""
    raise ContractError(f"{name} returned {_type(value)}; expected {what}.{hint}")


def _load_data(splits: Any, *_: Any) -> Any:
    _expect(splits, Splits, "load_data", "Splits(train, validation, test)")
    for part in _PARTS:
        _check_examples(part, getattr(splits, part))
    if not isinstance(splits.description, Mapping):
        raise ContractError(
            f"the description of Splits is of type {_type(splits.description)}; expected a "
            "dictionary of facts."
        )
    notes = splits.notes
    if isinstance(notes, str) or not all(isinstance(note, str) for note in notes):
        raise ContractError("the notes of Splits must be a list of sentences.")
    if not isinstance(splits.test_set, str):
        raise ContractError(
            f"the test_set of Splits is of type {_type(splits.test_set)}; expected a text."
        )
    return splits


def _check_examples(part: str, examples: Any) -> None:
    """Raises an error unless the examples have a length and can be sliced."""
    such = "such as an array, a list, or a class with __len__ and __getitem__"
    kind = _type(examples)
    try:
        count = len(examples)
    except Exception as error:
        raise ContractError(
            f"the {part} examples ({kind}) have no length: {error}; expected a sequence, {such}."
        ) from error
    if not count:
        raise ContractError(f"the {part} examples are empty; each part needs at least one.")
    try:
        few = examples[:1]
        length = len(few)
    except Exception as error:
        raise ContractError(
            f"the {part} examples ({kind}) cannot be sliced, as in {part}[:8]: "
            f"{type(error).__name__}: {error}; expected a sequence, {such}."
        ) from error
    if length != 1:
        raise ContractError(f"{part}[:1] ({kind}) has {length} examples; expected 1.")


def _build(model: Any, *_: Any) -> Any:
    import keras

    _expect(model, keras.Model, "build", "a compiled keras.Model")
    if not model.built:
        raise ContractError(
            f"the model {model.name} is not built, so that its weights do not exist yet. Begin it "
            "with keras.Input, or call model.build."
        )
    if getattr(model, "optimizer", None) is None:
        raise ContractError(
            f"the model {model.name} is not compiled. Call model.compile(optimizer, loss) first."
        )
    return model


def _dataset(returned: Any, model: Any = None, *_: Any) -> Any:
    import tensorflow as tf

    pair = returned if isinstance(returned, tuple) else (returned, None)
    what = "a tf.data.Dataset, or a dataset with its steps per epoch"
    if len(pair) != 2:
        raise ContractError(f"dataset returned a tuple of {len(pair)}; expected {what}.")
    data, steps = pair
    _expect(data, tf.data.Dataset, "dataset", what)
    is_number = isinstance(steps, numbers.Integral) and not isinstance(steps, bool)
    if steps is not None and (not is_number or steps < 1):
        raise ContractError(f"the steps per epoch are {steps!r}; expected an integer from 1.")
    cardinality = int(data.cardinality())
    if steps is None and cardinality == tf.data.INFINITE_CARDINALITY:
        raise ContractError(
            "the dataset is endless, so that an epoch would never end. Return it with its steps "
            "per epoch: (dataset, steps)."
        )
    if cardinality == 0 or (steps is not None and 0 <= cardinality < steps):
        steps_ = "at least one" if steps is None else f"{steps} steps"
        raise ContractError(f"the dataset has {cardinality} batches; expected {steps_}.")
    _check_elements(data.element_spec, model)
    return returned


def _check_elements(spec: Any, model: Any) -> None:
    import tensorflow as tf

    inputs = getattr(model, "inputs", None)
    if not inputs or any(str(tensor.dtype) == "string" for tensor in inputs):
        return
    first = spec[0] if isinstance(spec, tuple) else spec
    kinds = [getattr(leaf, "dtype", None) for leaf in tf.nest.flatten(first)]
    if tf.string in kinds:
        raise ContractError(
            "the dataset yields strings, but the model's inputs are numbers. Look up the strings "
            "in a vocabulary, or have the model begin with keras.layers.StringLookup."
        )


def _evaluate(metrics: Any, *_: Any) -> Any:
    _expect(metrics, Mapping, "evaluate", "numbers by name")
    return {_name(name): _metric(name, value) for name, value in metrics.items()}


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ContractError(f"evaluate returned the name {name!r}; expected a text.")
    return name


def _metric(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _metric(f"{name}[{key!r}]", own) for key, own in value.items()}
    number = _plain(value)
    if not isinstance(number, int | float):
        raise ContractError(f"evaluate: {name} is of type {_type(value)}; expected a number.")
    return number


def _plain(value: Any) -> Any:
    """Returns NumPy's and TensorFlow's values as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _json(value: Any, what: str) -> Any:
    plain = _plain(value)
    try:
        json.dumps(plain)
    except (TypeError, ValueError) as error:
        raise ContractError(f"{what} is not data that json.dumps takes: {error}.") from error
    return plain


def _describe(facts: Any, *_: Any) -> Any:
    _expect(facts, Mapping, "describe", "facts by name")
    return {str(name): _json(value, f"describe: {name}") for name, value in facts.items()}


def _predict(predictions: Any, *_: Any) -> Any:
    _expect(predictions, (list, tuple), "predict", "a list of predictions")
    return [_json(value, f"predict: element {n}") for n, value in enumerate(predictions, start=1)]


def _figures(generator: Any, *_: Any) -> Any:
    if generator is None:
        raise ContractError("figures returned nothing; expected it to yield name and figure.")
    return (_checked_figure(item) for item in generator)


def _checked_figure(item: Any) -> Any:
    import numpy as np
    from matplotlib.figure import Figure

    is_pair = isinstance(item, tuple) and len(item) == 2
    if is_pair and isinstance(item[0], str) and isinstance(item[1], Figure | np.ndarray):
        return item
    kinds = ", ".join(map(_type, item)) if isinstance(item, tuple) else _type(item)
    raise ContractError(
        f"figures yielded {kinds}; expected a file name and a matplotlib Figure (or an array of "
        "frames).",
        "figures",
    )


def _signatures(exports: Any, *_: Any) -> Any:
    from dlrecipes.export.signatures import Exports, Signature

    _expect(exports, Exports, "signatures", "Exports(signatures, litert)")
    for name, signature in exports.signatures.items():
        _expect(signature, Signature, f"signatures: {name}", "a Signature")
    if "serving_default" not in exports.signatures:
        names = ", ".join(exports.signatures) or "none"
        raise ContractError(
            f"signatures: expected one named 'serving_default', which clients call, got {names}."
        )
    _expect(exports.litert, Signature, "signatures: litert", "a Signature")
    for name, signature in {**exports.signatures, "litert": exports.litert}.items():
        _check_signature(name, signature)
    return exports


def _check_signature(name: str, signature: Any) -> None:
    wanted = len(signature.inputs)
    if not len(signature.examples):
        raise ContractError(f"signatures: {name} has no examples to be verified on.")
    for example in signature.examples:
        if not isinstance(example, tuple | list) or len(example) != wanted:
            size = len(example) if isinstance(example, tuple | list) else _type(example)
            raise ContractError(
                f"signatures: {name} has {wanted} inputs, but an example of {size}; expected a "
                "tuple with an array for each input."
            )


def _snapshot(array: Any, *_: Any) -> Any:
    import numpy as np

    if array is None or isinstance(array, np.ndarray):
        return array
    if hasattr(array, "numpy"):
        return array.numpy()
    raise ContractError(f"snapshot returned {_type(array)}; expected a NumPy array.")


def _callbacks(callbacks: Any, *_: Any) -> Any:
    import keras

    _expect(callbacks, (list, tuple), "callbacks", "a list of Keras callbacks")
    for callback in callbacks:
        _expect(callback, keras.callbacks.Callback, "callbacks: an element", "a Keras callback")
    return callbacks


def _example_inputs(inputs: Any, *_: Any) -> Any:
    _expect(inputs, (list, tuple), "example_inputs", "a list of texts")
    for element in inputs:
        texts = element if isinstance(element, tuple) else (element,)
        if not all(isinstance(text, str | ExampleFile) for text in texts):
            raise ContractError(
                f"example_inputs has an element of type {_type(element)}; expected a text as it "
                "is typed after 'dlrecipes predict', or an ExampleFile."
            )
    return inputs


def _labels(pair: Any, *_: Any) -> Any:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ContractError(
            f"labels returned {_type(pair)}; expected two lists: of the model, of the examples."
        )
    return pair


def _of_kind(name: str, kind: type, what: str) -> Callable[..., Any]:
    def check(value: Any, *_: Any) -> Any:
        _expect(value, kind, name, what)
        return value

    return check


def _transfer(value: Any, *_: Any) -> Any:
    from dlrecipes.recipe.transfer import Transfer

    _expect(value, Transfer, "initialize", "a Transfer")
    return value


def _report(value: Any, *_: Any) -> Any:
    from dlrecipes.data.reports import DataReport

    _expect(value, DataReport, "check", "a DataReport")
    return value


# The check of each method's result, by the method's name; it returns the result.
CHECKS: Mapping[str, Callable[..., Any]] = {
    "load_data": _load_data,
    "check": _report,
    "build": _build,
    "dataset": _dataset,
    "initialize": _transfer,
    "row_names": _of_kind("row_names", Mapping, "names by layer"),
    "callbacks": _callbacks,
    "set_thresholds": lambda value, *_: value,
    "evaluate": _evaluate,
    "labels": _labels,
    "describe": _describe,
    "snapshot": _snapshot,
    "figures": _figures,
    "signatures": _signatures,
    "predict": _predict,
    "present": _of_kind("present", str, "a text"),
    "example_inputs": _example_inputs,
}
