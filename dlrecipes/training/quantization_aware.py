"""Quantization-aware training: a network learns with the rounding of its int8 file."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import keras

from dlrecipes.layers import FakeQuantize, FakeQuantizedKernel

_CONVOLUTIONS = tuple(
    getattr(keras.layers, name)
    for name in (
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        *(f"Conv{axes}D{kind}" for axes in (1, 2, 3) for kind in ("", "Transpose")),
    )
)
# Their outputs have the values, and in LiteRT the scale, of their inputs.
_SAME_RANGE = tuple(
    getattr(keras.layers, name)
    for name in (
        *(f"{kind}{axes}D" for kind in ("MaxPooling", "AveragePooling") for axes in (1, 2, 3)),
        *(f"GlobalMaxPooling{axes}D" for axes in (1, 2, 3)),
        *(f"{kind}{axes}D" for kind in ("ZeroPadding", "Cropping") for axes in (1, 2, 3)),
        *(f"SpatialDropout{axes}D" for axes in (1, 2, 3)),
        "Dropout",
        "Flatten",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "Permute",
        "RepeatVector",
        "Reshape",
    )
)


def quantization_aware(network: keras.Model, bits: int = 8) -> keras.Model:
    """Returns a network with the weights of another one, which rounds as its int8 file does.

    Kernels of convolutions and dense layers are rounded per output channel, and activations per
    tensor, to ranges that follow the training batches. Gradients pass through the rounding. A batch
    normalization between a convolution and its ReLU is not rounded, because LiteRT folds it into
    the convolution; rounding per channel gives the same values before and after folding.

    The layers are shared: train the returned network, then publish `network`, which holds the
    trained weights and nothing else. Its int8 file is made by calibration as any other. Begin with
    a network that is trained already, with a small learning rate.

    Args:
        network: Functional or sequential model, built. Sub-models are included.
        bits: Number of bits, from 2 to 16. LiteRT files have 8. Defaults to 8.

    Returns:
        A functional `keras.Model` with the same inputs, outputs and trainable weights. Its other
        weights are those of the network, and two numbers per range.

    Raises:
        ValueError: If the model is not functional, or if `bits` is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.training import SupervisedTrainer, quantization_aware
    >>> x = keras.Input((4,))
    >>> network = keras.Model(x, keras.layers.Dense(1)(x))
    >>> model = SupervisedTrainer(quantization_aware(network))
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> before = float(keras.ops.sum(network.layers[-1].bias))
    >>> history = model.fit(keras.ops.ones((8, 4)), 3 * keras.ops.ones((8, 1)), verbose=0)
    >>> float(keras.ops.sum(network.layers[-1].bias)) != before
    True

    Reference:
        Jacob et al., 2018, "Quantization and training of neural networks for efficient
        integer-arithmetic-only inference", section 3. https://arxiv.org/abs/1712.05877
    """
    if isinstance(network, keras.Sequential):
        network = keras.Model(network.inputs, network.outputs[0], name=network.name)
    if not hasattr(network, "operations"):
        raise ValueError(f"{network.name} must be a functional model, with known layers.")
    inserted = _Inserted(network, bits)
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), network.input
    )
    return keras.Model(inputs, inserted.run(inputs), name=network.name)


class _Inserted:
    """Applies a network's layers with rounding in between."""

    def __init__(self, network: keras.Model, bits: int):
        self.network = network
        self.bits = bits
        self.wrapped: dict[int, Any] = {}
        self.names: Counter[str] = Counter()
        self.consumers = defaultdict(list)
        for operation in network.operations:
            for node in operation._inbound_nodes:
                for tensor in node.input_tensors:
                    self.consumers[id(tensor)].append(operation)

    def run(self, inputs: Any) -> Any:
        rounded = keras.tree.map_structure(lambda x: self._round(x, f"range_{x.name}"), inputs)
        return self.network._run_through_graph(rounded, operation_fn=self._wrap, call_fn=self._call)

    def _wrap(self, operation: Any) -> Any:
        """Returns the operation with a rounded kernel, the same one at each call."""
        if id(operation) not in self.wrapped:
            wrapped = operation
            if isinstance(operation, keras.Model):
                wrapped = quantization_aware(operation, self.bits)
            elif isinstance(operation, (*_CONVOLUTIONS, keras.layers.Dense)):
                name = f"quantized_{operation.name}"
                wrapped = FakeQuantizedKernel(operation, self.bits, name=name)
            self.wrapped[id(operation)] = wrapped
        return self.wrapped[id(operation)]

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        original = operation.layer if isinstance(operation, FakeQuantizedKernel) else operation
        if self._keeps_range(original) or self._is_fused(original):
            return outputs
        return self._round(outputs, f"range_{original.name}")

    def _keeps_range(self, operation: Any) -> bool:
        # The range of probabilities is known. Sub-models have rounded their outputs.
        kinds = (*_SAME_RANGE, keras.Model, keras.layers.Softmax)
        return isinstance(operation, kinds) or (
            getattr(operation, "activation", None) is keras.activations.softmax
        )

    def _is_fused(self, operation: Any) -> bool:
        """Returns whether LiteRT computes an operation and all that read it as one."""
        is_linear = getattr(operation, "activation", None) in (None, keras.activations.linear)
        following = self._readers(operation)
        if isinstance(operation, (*_CONVOLUTIONS, keras.layers.Dense)) and is_linear:
            fused = (keras.layers.BatchNormalization,)
        elif isinstance(operation, (keras.layers.BatchNormalization, keras.layers.Add)):
            fused = ()
        else:
            return False
        return bool(following) and all(
            isinstance(reader, fused) or _is_relu(reader) for reader in following
        )

    def _readers(self, operation: Any) -> list[Any]:
        tensors = [tensor for node in operation._inbound_nodes for tensor in node.output_tensors]
        return [reader for tensor in tensors for reader in self.consumers[id(tensor)]]

    def _round(self, tensor: Any, name: str) -> Any:
        is_tensor = isinstance(tensor, keras.KerasTensor)
        if not is_tensor or "float" not in tensor.dtype:
            return tensor
        self.names[name] += 1
        number = f"_{self.names[name]}" if self.names[name] > 1 else ""
        return FakeQuantize(self.bits, name=f"{name}{number}")(tensor)


def _is_relu(operation: Any) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        return not operation.negative_slope and not operation.threshold
    is_activation = isinstance(operation, keras.layers.Activation)
    relus = (keras.activations.relu, keras.activations.relu6)
    return is_activation and operation.activation in relus
