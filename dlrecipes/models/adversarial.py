"""Initial weights of generators and discriminators."""

import keras

from dlrecipes.layers._arguments import fresh


def gan_initializer(initializer):
    """Returns an initializer for one layer of a generator or discriminator.

    Args:
        initializer: An initializer in any form that Keras takes, or `None` for a normal
            distribution with a standard deviation of 0.02, as in Radford et al. (2016), Isola et
            al. (2017) and Zhu et al. (2017).

    Returns:
        A new initializer, so that each layer generates its own values.
    """
    if initializer is None:
        return keras.initializers.RandomNormal(stddev=0.02)
    return fresh(initializer)
