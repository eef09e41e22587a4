"""Single steps of character language models as LiteRT signatures, and how they are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from dlrecipes.export.signatures import Quantized, Signature
from dlrecipes.training import CharacterLanguageModel

# Largest loss of log-likelihood per character for a smaller LiteRT file to be published.
DROP = 0.02


def step_signature(
    model: CharacterLanguageModel, sequence: Mapping[str, np.ndarray], max_steps: int = 8
) -> Signature:
    """Returns one step of the network as a function: ids and states in, scores and states out.

    An application runs it in a loop: it samples a character from `scores`, and feeds each
    `new_state_k` back as `state_k`. The states of the first step are 0.

    Args:
        model: Language model.
        sequence: Ids of one sequence by input of the network, integers of shape `(steps,)`, from
            which the examples for the verification are computed.
        max_steps: Largest number of examples. Defaults to 8.

    Returns:
        Signature for one sequence, with an example for each step.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.export.language_model import step_signature
    >>> from dlrecipes.models import character_lm
    >>> from dlrecipes.training import CharacterLanguageModel
    >>> model = CharacterLanguageModel(character_lm(3, units=4, depth=1), 8, ["[start]", "a", "b"])
    >>> signature = step_signature(model, {"characters": np.array([1, 2, 2])})
    >>> [spec.name for spec in signature.inputs], len(signature.examples)
    (['characters', 'state_0', 'state_1'], 3)
    """
    names = [tensor.name for tensor in model.network.inputs]
    states = model.first_states(1)
    values = [np.asarray(state) for state in tf.nest.flatten(states)]

    def run_step(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(zip(names, tensors, strict=False))
        packed = tf.nest.pack_sequence_as(states, tensors[len(names) :])
        scores, after = model.step(inputs, packed)
        new = {f"new_state_{k}": state for k, state in enumerate(tf.nest.flatten(after))}
        return {"scores": scores, **new}

    inputs = [tf.TensorSpec([1], tf.int32, name=name) for name in names]
    inputs += [
        tf.TensorSpec(value.shape, tf.float32, name=f"state_{k}") for k, value in enumerate(values)
    ]
    run, examples = tf.function(run_step, input_signature=inputs), []
    for number in range(min(max_steps, len(sequence[names[0]]))):
        ids = [np.asarray(sequence[name][number : number + 1], "int32") for name in names]
        examples.append((*ids, *values))
        outputs = run(*map(tf.constant, examples[-1]))
        values = [outputs[f"new_state_{k}"].numpy() for k in range(len(values))]
    return Signature(run_step, inputs, examples)


def step_quantized(
    signature: Signature, sequences: Sequence[Mapping[str, np.ndarray]]
) -> Quantized:
    """Returns how smaller LiteRT files of a step are measured; none is made unless asked for.

    The metric is the mean log-likelihood per character, in nats.

    Args:
        signature: Step from `step_signature`.
        sequences: Ids of test sequences by input of the network, and `targets`, the id after each
            step, or 0 after the end; integers of shape `(steps,)`.

    Returns:
        Calibration inputs and the metric, without formats.
    """
    # The states of the first example are those before the first step.
    first = {
        spec.name: value
        for spec, value in zip(signature.inputs, signature.examples[0], strict=True)
        if spec.name.startswith("state_")
    }
    names = [spec.name for spec in signature.inputs if spec.name not in first]

    def log_likelihood(step: Callable[..., Mapping[str, np.ndarray]]) -> float:
        values = []
        for sequence in sequences:
            states, targets = first, sequence["targets"]
            for number, target in enumerate(targets[targets > 0]):
                inputs = {name: sequence[name][number : number + 1] for name in names}
                outputs = step(**inputs, **states)
                scores = outputs["scores"].reshape(-1).astype("float64")
                scores -= scores.max()
                values.append(scores[target] - np.log(np.exp(scores).sum()))
                states = {name: outputs[f"new_{name}"] for name in first}
        return float(np.mean(values))

    return Quantized((), signature.examples, "log_likelihood", log_likelihood, DROP)
