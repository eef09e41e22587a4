"""A learning rate that stays, then falls along a line to zero."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Keeps the learning rate, then lets it fall linearly to zero, where it stays.

        rate(step) = initial_learning_rate * min(1, (constant_steps + decay_steps - step)
                                                    / decay_steps), and at least 0

    Pix2pix and CycleGAN are trained so, with the same number of epochs for both parts. The rate
    changes at each step, where the authors' code changes it once an epoch. (Keras'
    `PolynomialDecay` begins to fall at once.)

    Args:
        initial_learning_rate: The rate at first, above 0.
        constant_steps: For how many steps the rate stays, at least 0.
        decay_steps: In how many steps it then falls to 0, at least 1.

    Returns:
        The rate for the step that it is called with, a float32 scalar.

    Raises:
        ValueError: If a number is out of bounds.

    Example:

    >>> rate = LinearDecay(2e-4, constant_steps=100, decay_steps=100)
    >>> [round(float(rate(step)), 6) for step in (0, 100, 150, 200, 300)]
    [0.0002, 0.0002, 0.0001, 0.0, 0.0]
    >>> optimizer = keras.optimizers.Adam(rate, beta_1=0.5)

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4, "Training details".
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
        """Returns the rate of a step, counted from 0."""
        # Before the cast: float32 does not tell steps apart from 2**24 on.
        left = ops.cast(self.constant_steps + self.decay_steps - step, "float32")
        return self.initial_learning_rate * ops.clip(left / self.decay_steps, 0.0, 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "constant_steps": self.constant_steps,
            "decay_steps": self.decay_steps,
        }
