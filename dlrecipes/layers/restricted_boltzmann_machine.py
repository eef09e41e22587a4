"""The restricted Boltzmann machine."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer
from dlrecipes.layers._precision import exact, exact_dtype

KINDS = ("bernoulli", "gaussian")


@keras.saving.register_keras_serializable(package="dlrecipes")
class RestrictedBoltzmannMachine(keras.layers.Layer):
    """A distribution over visible vectors, modelled by means of hidden units.

    A visible vector `v` and a hidden one `h` have the joint probability `exp(-E(v, h)) / Z`, with

        E(v, h) = A(v) + B(h) - v W h
        A(v)    = -a v               for Bernoulli units, 0 or 1
                  |v - a|^2 / 2      for Gaussian units, of variance 1
        B(h)    = -b h  or  |h - b|^2 / 2, likewise

    The energy has no terms within a layer, so that given one layer the units of the other are
    independent, with probabilities or means

        p(h_j = 1 | v) = sigmoid(b_j + v W_j)     or  b_j + v W_j
        p(v_i = 1 | h) = sigmoid(a_i + W_i h)     or  a_i + W_i h

    Calling the layer gives the hidden probabilities or means, so that machines can be stacked.
    `free_energy` is `-log sum_h exp(-E(v, h))`, less a constant where `h` is Gaussian. Contrastive
    divergence follows the gradient of the mean `free_energy` of the data minus the mean
    `free_energy` of as many samples, which are held constant. `gibbs_step` draws them, starting
    from the data, in `k` steps (CD-k); in its persistent form the sampling chain continues from one
    batch to the next.

    `kernel` is `W`, of shape `(features, hidden_units)`; `visible_bias` is `a`, which the output
    does not depend on, and `hidden_bias` is `b`. Energies, probabilities and samples are computed
    in float32 at least; the products with `W` and the layer's output have the policy's dtype.
    Training and inference behave the same. Only samples are random, and the same `seed` gives the
    same samples.

    Args:
        hidden_units: Number of hidden units, at least 1.
        visible: `"bernoulli"`, for values from 0 to 1, or `"gaussian"`, for values of any size,
            standardised to mean 0 and variance 1. Defaults to `"bernoulli"`.
        hidden: `"bernoulli"` or `"gaussian"`; `visible` and `hidden` cannot both be Gaussian, since
            that defines a distribution only for small weights. Defaults to `"bernoulli"`.
        kernel_initializer: Initializer of `W`, or `None` for a normal distribution of standard
            deviation 0.01. Defaults to `None`.
        visible_bias_initializer: Initializer of `a`. Defaults to `"zeros"`.
        hidden_bias_initializer: Initializer of `b`. Defaults to `"zeros"`.
        kernel_regularizer: Regularizer of `W`, or `None`. Defaults to `None`.
        seed: Seed of the layer's random numbers, or `None`. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Visible vectors, of shape `(..., features)`.

    Returns:
        Probabilities, or means, of the hidden units, of shape `(..., hidden_units)`.

    Raises:
        ValueError: If `hidden_units` is not an integer of at least 1, `visible` or `hidden` is not
            one of the names above, or both are `"gaussian"`.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import RestrictedBoltzmannMachine
    >>> layer = RestrictedBoltzmannMachine(4, kernel_initializer="zeros", seed=1)
    >>> data = keras.ops.array([[0.0, 1.0, 1.0]])
    >>> keras.ops.convert_to_numpy(layer(data)).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    >>> round(float(layer.free_energy(data)[0]), 4)  # -4 log 2
    -2.7726
    >>> tuple(layer.gibbs_step(data).shape)
    (1, 3)

    Reference:
        Smolensky, 1986, "Information processing in dynamical systems: foundations of harmony
        theory".
        Hinton, 2002, "Training products of experts by minimizing contrastive divergence".
        https://doi.org/10.1162/089976602760128018
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural networks",
        equation 1, and its supporting text on Gaussian units.
        https://doi.org/10.1126/science.1127647
        Hinton, 2010, "A practical guide to training restricted Boltzmann machines", section 8, for
        the initial weights.
    """

    def __init__(
        self,
        hidden_units: int,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        kernel_initializer=None,
        visible_bias_initializer="zeros",
        hidden_bias_initializer="zeros",
        kernel_regularizer=None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("hidden_units", hidden_units)
        for name, kind in (("visible", visible), ("hidden", hidden)):
            if kind not in KINDS:
                raise ValueError(f"{name} must be one of {', '.join(KINDS)}, not {kind!r}.")
        if visible == hidden == "gaussian":
            raise ValueError(
                "visible and hidden must not be both 'gaussian'; one must be 'bernoulli'."
            )
        self.hidden_units = hidden_units
        self.visible = visible
        self.hidden = hidden
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.visible_bias_initializer = keras.initializers.get(visible_bias_initializer)
        self.hidden_bias_initializer = keras.initializers.get(hidden_bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        # Energies are sums over all units, for which 16 bits are not enough.
        self.autocast = False

    def build(self, input_shape):
        features = input_shape[-1]
        # Created here, since a shared default would give all layers the same weights.
        initializer = self.kernel_initializer or keras.initializers.RandomNormal(stddev=0.01)
        self.kernel = self.add_weight(
            (features, self.hidden_units),
            initializer,
            regularizer=self.kernel_regularizer,
            autocast=False,
            name="kernel",
        )
        biases = {
            "visible_bias": (features, self.visible_bias_initializer),
            "hidden_bias": (self.hidden_units, self.hidden_bias_initializer),
        }
        for name, (units, initializer) in biases.items():
            bias = self.add_weight((units,), initializer, autocast=False, name=name)
            setattr(self, name, bias)

    def call(self, inputs):
        return ops.cast(self.hidden_probabilities(inputs), self.compute_dtype)

    def hidden_probabilities(self, visible):
        """Returns p(h = 1 | v), or the mean of Gaussian units.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            Numbers of shape `(..., hidden_units)`.
        """
        drive = self._up(visible) + exact(self, self.hidden_bias)
        return ops.sigmoid(drive) if self.hidden == "bernoulli" else drive

    def visible_probabilities(self, hidden):
        """Returns p(v = 1 | h), or the mean of Gaussian units.

        Args:
            hidden: Hidden vectors, of shape `(..., hidden_units)`.

        Returns:
            Numbers of shape `(..., features)`.
        """
        down = self._product(hidden, ops.transpose(self.kernel))
        drive = down + exact(self, self.visible_bias)
        return ops.sigmoid(drive) if self.visible == "bernoulli" else drive

    def sample_hidden(self, visible):
        """Samples hidden vectors given visible ones.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            Samples of shape `(..., hidden_units)`.
        """
        return self._sample(self.hidden_probabilities(visible), self.hidden)

    def sample_visible(self, hidden):
        """Samples visible vectors given hidden ones.

        Args:
            hidden: Hidden vectors, of shape `(..., hidden_units)`.

        Returns:
            Samples of shape `(..., features)`.
        """
        return self._sample(self.visible_probabilities(hidden), self.visible)

    def gibbs_step(self, visible):
        """Samples hidden vectors given visible ones, then visible ones given those.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            Samples of shape `(..., features)`.
        """
        return self.sample_visible(self.sample_hidden(visible))

    def energy(self, visible, hidden):
        """Returns the energy E(v, h).

        Args:
            visible: Visible vectors, of shape `(..., features)`.
            hidden: Hidden vectors, of shape `(..., hidden_units)`.

        Returns:
            Energies, of the shape of the leading axes.
        """
        interaction = ops.sum(self._up(visible) * exact(self, hidden), axis=-1)
        own = self._own_energy(hidden, self.hidden_bias, self.hidden)
        return self._own_energy(visible, self.visible_bias, self.visible) + own - interaction

    def free_energy(self, visible):
        """Returns the free energy of visible vectors, summed over all hidden ones.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            `-log sum_h exp(-E(v, h))`, of the shape of the leading axes; with Gaussian hidden
            units, for which the sum is an integral, plus `hidden_units / 2 * log(2 pi)`.
        """
        up, bias = self._up(visible), exact(self, self.hidden_bias)
        if self.hidden == "bernoulli":
            hidden_terms = ops.softplus(up + bias)
        else:
            hidden_terms = up * (bias + 0.5 * up)
        own = self._own_energy(visible, self.visible_bias, self.visible)
        return own - ops.sum(hidden_terms, axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.hidden_units)

    def get_config(self):
        initial, serialize = self.kernel_initializer, keras.initializers.serialize
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "visible": self.visible,
            "hidden": self.hidden,
            "kernel_initializer": None if initial is None else serialize(initial),
            "visible_bias_initializer": serialize(self.visible_bias_initializer),
            "hidden_bias_initializer": serialize(self.hidden_bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }

    def _up(self, visible):
        if not self.built:
            self.build(visible.shape)
        return self._product(visible, self.kernel)

    def _product(self, x, kernel):
        dtype = self.compute_dtype
        return exact(self, ops.matmul(ops.cast(x, dtype), ops.cast(kernel, dtype)))

    def _sample(self, mean, kind):
        random = keras.random.uniform if kind == "bernoulli" else keras.random.normal
        noise = random(ops.shape(mean), dtype=exact_dtype(self), seed=self.seed_generator)
        return ops.cast(noise < mean, mean.dtype) if kind == "bernoulli" else mean + noise

    def _own_energy(self, x, bias, kind):
        """Returns the energy of one layer's units without the interaction term."""
        x, bias = exact(self, x), exact(self, bias)
        each = -x * bias if kind == "bernoulli" else 0.5 * ops.square(x - bias)
        return ops.sum(each, axis=-1)
