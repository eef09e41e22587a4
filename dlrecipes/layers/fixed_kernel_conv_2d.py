"""Classic filters of image processing."""

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, padding_mode, sizes_after

SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
PREWITT = np.array([[1, 0, -1]] * 3)
SCHARR = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]])

KERNELS = {
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "edges_4": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "edges_8": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "edges_diagonal": np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]),
    "prewitt_vertical": PREWITT,
    "prewitt_horizontal": PREWITT.T,
    "sobel_vertical": SOBEL,
    "sobel_horizontal": SOBEL.T,
    "scharr_vertical": SCHARR,
    "scharr_horizontal": SCHARR.T,
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "box_blur": np.full((3, 3), 1 / 9),
    "gaussian_blur": np.outer([1, 2, 1], [1, 2, 1]) / 16,
    "gaussian_blur_5": np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256,
}


@keras.saving.register_keras_serializable(package="dlrecipes")
class FixedKernelConv2D(keras.layers.Layer):
    """Filters each channel with one fixed kernel, chosen by name or given as numbers.

    The kernels, 3 by 3 unless noted:

    - `"identity"` returns the image unchanged.
    - `"edges_4"`, `"edges_8"` and `"edges_diagonal"` are second derivatives: the Laplacian over 4
      neighbours; the Laplacian over 8 neighbours, with the opposite sign; and the mixed second
      derivative, which responds to corners and slanted edges.
    - `"prewitt_vertical"`, `"sobel_vertical"` and `"scharr_vertical"` detect vertical edges, and
      are positive where the left is brighter; `"..._horizontal"` detect horizontal ones, and are
      positive where the upper part is brighter.
    - `"sharpen"` is the image minus `"edges_4"`.
    - `"box_blur"` is the mean; `"gaussian_blur"` and (5 by 5) `"gaussian_blur_5"` are binomial
      approximations of a Gaussian.

    The numbers of edge kernels sum to 0 and those of all others to 1. The layer has no weights.
    Channels are the last axis. Training and inference behave the same.

    Args:
        kernel: Name from the list above, or numbers of shape `(height, width)`. Defaults to
            `"identity"`.
        strides: Step of the kernel in both directions, an integer of at least 1. Defaults to 1.
        padding: `"valid"`, only where the kernel fits, or `"same"`, with zeros beyond the border.
            Defaults to `"valid"`.
        flip: Whether to flip the kernel in both directions, which gives the mathematical
            convolution; otherwise the layer computes the cross-correlation, as Keras does
            everywhere. Flipping changes the sign of the Prewitt, Sobel and Scharr kernels and
            leaves the other named kernels unchanged. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`; height and width may be unknown.

    Returns:
        Filtered images of shape `(batch, new_height, new_width, channels)`, with the sizes of
        Keras' `DepthwiseConv2D`.

    Raises:
        ValueError: If `kernel` is neither a known name nor numbers with two axes, `strides` is not
            an integer of at least 1, or `padding` is neither `"valid"` nor `"same"`.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import FixedKernelConv2D
    >>> step = keras.ops.array([[[[10.0], [10.0], [10.0], [0.0], [0.0], [0.0]]] * 3])
    >>> y = FixedKernelConv2D("prewitt_vertical")(step)
    >>> keras.ops.convert_to_numpy(y)[0, 0, :, 0].tolist()
    [0.0, 30.0, 30.0, 0.0]

    Reference:
        Gonzalez and Woods, 2018, "Digital image processing", 4th edition, chapter 3, on smoothing
        and sharpening spatial filters, and section 10.2, on edges.
    """

    def __init__(
        self,
        kernel="identity",
        strides: int = 1,
        padding: str = "valid",
        flip: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(kernel, str) and kernel not in KERNELS:
            raise ValueError(f"kernel must be numbers or one of {[*KERNELS]}, not {kernel!r}.")
        self._values = KERNELS[kernel] if isinstance(kernel, str) else np.asarray(kernel)
        if self._values.ndim != 2 or not self._values.size:
            raise ValueError(
                f"kernel must be numbers of shape (height, width), not {self._values.shape}."
            )
        # TensorFlow's depthwise convolution requires equal strides in both directions.
        integer("strides", strides)
        self.kernel = kernel
        self.strides = strides
        self.padding = padding_mode(padding)
        self.flip = flip
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # raises if images are smaller than the kernel
        values = self._values[::-1, ::-1] if self.flip else self._values
        kernel = np.repeat(values[:, :, None, None], inputs.shape[-1], axis=2)
        return ops.depthwise_conv(
            ops.cast(inputs, self.compute_dtype),
            ops.convert_to_tensor(kernel, dtype=self.compute_dtype),
            self.strides,
            self.padding,
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape):
        steps = (self.strides, self.strides)
        sizes = sizes_after(input_shape[1:3], self._values.shape, steps, self.padding)
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self):
        named = isinstance(self.kernel, str)
        return {
            **super().get_config(),
            "kernel": self.kernel if named else np.asarray(self.kernel).tolist(),
            "strides": self.strides,
            "padding": self.padding,
            "flip": self.flip,
        }
