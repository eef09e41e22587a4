"""Learning-rate schedules: by name, linear decay to zero, and one after another."""

from collections.abc import Sequence

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number

NAMES = ("constant", "cosine", "linear")


def learning_rate_schedule(
    name: str, learning_rate: float, steps: int, *, alpha: float = 0.02, warmup_steps: int = 0
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns a learning rate for an optimizer: constant, or decayed over a number of steps.

    - `"constant"`: the learning rate itself;
    - `"cosine"`: `keras.optimizers.schedules.CosineDecay` from the learning rate to `alpha` times
      the learning rate;
    - `"linear"`: `LinearDecay`, the full learning rate for the first half of the steps, then a
      linear decay to 0.

    Args:
        name: Name of the schedule: `"constant"`, `"cosine"` or `"linear"`.
        learning_rate: Initial learning rate, above 0.
        steps: Number of optimizer steps in the whole training, at least 1.
        alpha: Final learning rate of `"cosine"`, as a fraction of the initial one, from 0 to 1.
            Ignored by the other schedules. Defaults to 0.02.
        warmup_steps: First steps of `"cosine"`, in which the rate rises linearly from 0; less than
            `steps`. Ignored by the other schedules. Defaults to 0.

    Returns:
        `learning_rate` for `"constant"`, else a Keras schedule.

    Raises:
        ValueError: If the name is unknown, or a number is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.training import learning_rate_schedule
    >>> schedule = learning_rate_schedule("linear", 0.01, steps=100)
    >>> [round(float(schedule(step)), 6) for step in (0, 50, 75, 100)]
    [0.01, 0.01, 0.005, 0.0]
    >>> optimizer = keras.optimizers.Adam(schedule)

    Reference:
        Loshchilov and Hutter, 2017, "SGDR: Stochastic gradient descent with warm restarts",
        equation 5, for `"cosine"` (a single period). https://arxiv.org/abs/1608.03983
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, not {name!r}.")
    number("learning_rate", learning_rate, "above 0", lambda rate: rate > 0)
    integer("steps", steps, 1)
    number("alpha", alpha, "from 0 to 1", lambda fraction: 0 <= fraction <= 1)
    integer("warmup_steps", warmup_steps, 0)
    if name == "cosine" and warmup_steps:
        if warmup_steps >= steps:
            raise ValueError(f"warmup_steps must be less than {steps} steps, not {warmup_steps}.")
        return keras.optimizers.schedules.CosineDecay(
            0.0,
            steps - warmup_steps,
            alpha=alpha,
            warmup_target=learning_rate,
            warmup_steps=warmup_steps,
        )
    if name == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=alpha)
    if name == "linear":
        decay_steps = max(1, steps // 2)
        return LinearDecay(learning_rate, steps - decay_steps, decay_steps)
    return learning_rate


@keras.saving.register_keras_serializable(package="dlrecipes")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Keeps the learning rate constant, then decays it linearly to zero.

        rate(step) = initial_learning_rate * min(1, (constant_steps + decay_steps - step)
                                                    / decay_steps), and at least 0

    Pix2pix and CycleGAN are trained with this schedule, with the same number of epochs for both
    parts. The rate changes at each step, while the authors' code changes it once per epoch. (Keras'
    `PolynomialDecay` begins to decay at once.)

    Args:
        initial_learning_rate: Initial learning rate, above 0.
        constant_steps: Number of steps with the initial rate, at least 0.
        decay_steps: Number of steps of the decay to 0, at least 1.

    Returns:
        The learning rate at a step, a float32 scalar.

    Raises:
        ValueError: If a number is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.training import LinearDecay
    >>> rate = LinearDecay(2e-4, constant_steps=100, decay_steps=100)
    >>> [round(float(rate(step)), 6) for step in (0, 100, 150, 200, 300)]
    [0.0002, 0.0002, 0.0001, 0.0, 0.0]
    >>> optimizer = keras.optimizers.Adam(rate, beta_1=0.5)

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4, "Training details".
        https://arxiv.org/abs/1703.10593
    """

    def __init__(self, initial_learning_rate: float, constant_steps: int, decay_steps: int):
        super().__init__()
        number("initial_learning_rate", initial_learning_rate, "above 0", lambda rate: rate > 0)
        integer("constant_steps", constant_steps, 0)
        integer("decay_steps", decay_steps, 1)
        self.initial_learning_rate = initial_learning_rate
        self.constant_steps = constant_steps
        self.decay_steps = decay_steps

    def __call__(self, step):
        """Returns the learning rate at a step, counted from 0."""
        # Subtracted before the cast, because float32 cannot represent every step above 2**24.
        left = ops.cast(self.constant_steps + self.decay_steps - step, "float32")
        return self.initial_learning_rate * ops.clip(left / self.decay_steps, 0.0, 1.0)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "constant_steps": self.constant_steps,
            "decay_steps": self.decay_steps,
        }


@keras.saving.register_keras_serializable(package="dlrecipes")
class ScheduleSequence(keras.optimizers.schedules.LearningRateSchedule):
    """Follows several schedules, one after another; each counts its steps from 0.

    Args:
        schedules: Learning rates or schedules, at least one.
        boundaries: Steps at which the second schedule and the further ones begin, rising integers
            from 1; one fewer than the schedules.

    Returns:
        The learning rate at a step, a float32 scalar.

    Raises:
        ValueError: If the boundaries do not rise, or their number does not fit.

    Example:

    >>> from dlrecipes.training import LinearDecay, ScheduleSequence
    >>> rate = ScheduleSequence([0.1, LinearDecay(0.01, constant_steps=0, decay_steps=10)], [5])
    >>> [round(float(rate(step)), 4) for step in (0, 4, 5, 10, 15)]
    [0.1, 0.1, 0.01, 0.005, 0.0]
    """

    def __init__(self, schedules: Sequence, boundaries: Sequence[int]):
        super().__init__()
        self.schedules, self.boundaries = list(schedules), list(boundaries)
        if len(self.schedules) != len(self.boundaries) + 1:
            raise ValueError(
                f"boundaries must be one fewer than the {len(self.schedules)} schedules, not "
                f"{len(self.boundaries)}."
            )
        least = 1
        for boundary in self.boundaries:
            integer("boundaries", boundary, least)
            least = boundary + 1

    def __call__(self, step):
        """Returns the learning rate at a step, counted from 0."""
        step = ops.cast(step, "int32")
        starts = [0, *self.boundaries]
        rates = []
        for start, schedule in zip(starts, self.schedules, strict=True):
            since = ops.maximum(step - start, 0)
            rate = schedule(since) if callable(schedule) else schedule
            rates.append(ops.cast(rate, "float32"))
        chosen = rates[0]
        for start, rate in zip(starts[1:], rates[1:], strict=True):
            chosen = ops.where(step >= start, rate, chosen)
        return chosen

    def get_config(self):
        return {
            "schedules": [keras.saving.serialize_keras_object(x) for x in self.schedules],
            "boundaries": self.boundaries,
        }

    @classmethod
    def from_config(cls, config):
        schedules = [keras.saving.deserialize_keras_object(x) for x in config["schedules"]]
        return cls(schedules, config["boundaries"])
