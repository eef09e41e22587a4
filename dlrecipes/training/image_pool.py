"""A history of generated images, some of which are shown to a discriminator again."""

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import stateless_random, uneven_batches


@keras.saving.register_keras_serializable(package="dlrecipes")
class ImagePool(keras.layers.Layer):
    """Stores generated images, and returns old ones in place of half of the new ones.

    Images are processed one after the other, in the batch's order. Until the pool is full, each
    image is stored and returned. After that, with probability 1/2, an image replaces a stored one,
    chosen uniformly, which is returned; otherwise the image itself is returned and not stored. An
    image may therefore replace one of its own batch.

    The stored images are non-trainable weights of a model that has the pool as an attribute, so
    that checkpoints and `.keras` files contain them. Random choices are a function of `seed`,
    `stream` and step. Under a `tf.distribute` strategy the pool equals one on a single device: each
    replica stores the images of all replicas, and gets back as many as it passed.

    Args:
        size: Number of images to store, at least 0; with 0 every image is returned unchanged.
            Defaults to 50.
        seed: Seed of the random choices. Defaults to 0.
        stream: Number that separates several pools with the same seed. Defaults to 0.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `size` is not an integer of at least 0.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.training import ImagePool
    >>> pool = ImagePool(size=2)
    >>> first = pool.query(tf.constant([[1.0], [2.0]]), step=0)
    >>> first.numpy().ravel().tolist(), pool.images.numpy().ravel().tolist()
    ([1.0, 2.0], [1.0, 2.0])
    >>> later = pool.query(tf.constant([[3.0], [4.0], [5.0]]), step=1).numpy().ravel()
    >>> sorted([*later, *pool.images.numpy().ravel()]) == [1, 2, 3, 4, 5]  # each once
    True

    Reference:
        Shrivastava, Pfister, Tuzel, Susskind, Wang and Webb, 2017, "Learning from simulated and
        unsupervised images through adversarial training", section 2.3.
        https://arxiv.org/abs/1612.07828
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4 (the form used here).
        https://arxiv.org/abs/1703.10593
    """

    def __init__(self, size: int = 50, seed: int = 0, stream: int = 0, **kwargs):
        super().__init__(**kwargs)
        integer("size", size, 0)
        self.size = size
        self.seed = seed
        self.stream = stream

    def build(self, input_shape):
        if self.size:
            # Every replica computes the same values, so that the first one's can be stored.
            options = {"trainable": False, "aggregation": "only_first_replica"}
            self.images = self.add_weight(
                shape=(self.size, *input_shape[1:]),
                initializer="zeros",
                dtype="float32",
                autocast=False,
                name="images",
                **options,
            )
            self.count = self.add_weight(
                shape=(), initializer="zeros", dtype="int64", name="count", **options
            )
        self.built = True

    def query(self, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        """Stores images, and returns the same number to show to the discriminator.

        Args:
            images: Generated images of shape `(batch, ...)`, floats.
            step: Number of the step, an integer scalar: `batch_count(optimizer)`.

        Returns:
            Images of the same shape and dtype, through which no gradient flows.

        Raises:
            ValueError: If the images do not have the shape that the pool was built for.
        """
        if not self.built:
            self.build(images.shape)
        if not self.size:
            return tf.stop_gradient(images)
        expected = tuple(self.images.shape[1:])
        if not images.shape[1:].is_compatible_with(expected):
            raise ValueError(
                f"The pool stores images of shape {expected}, not {tuple(images.shape[1:])}."
            )
        new = tf.stop_gradient(tf.cast(images, "float32"))
        here, first, gathered = _gather_replicas(new)
        random = stateless_random.replicated_uniform(
            [tf.shape(gathered)[0], 2], self.seed, step, self.stream
        )
        returned = self._exchange(gathered, random)[first : first + here]
        # A replica without examples has a placeholder, which is returned unchanged.
        returned = tf.concat([returned, new[here:]], axis=0)
        return tf.cast(tf.ensure_shape(returned, images.shape), images.dtype)

    def _exchange(self, new: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        """Stores images and returns others, given two random numbers in [0, 1) per image.

        The first number decides whether to swap, the second with which stored image. The whole
        batch is processed at once with the result of the definition, which goes image by image:
        from its place, an image gets the last earlier image that was written there.
        """
        batch = tf.shape(new)[0]
        rows = tf.range(batch)
        position = self.count.value + tf.cast(rows, tf.int64)
        fills = position < self.size
        swaps = ~fills & (random[:, 0] > 0.5)
        place = tf.where(fills, position, tf.cast(random[:, 1] * self.size, tf.int64))
        # Rows are readers, columns are writers.
        wrote = (fills | swaps) & (place[:, None] == place)
        known = tf.concat([tf.gather(self.images.value, place), new], axis=0)

        def newest(written):
            return tf.reduce_max(tf.where(written, batch + rows, rows[:, None]), axis=1)

        earlier = rows < rows[:, None]
        returned = tf.gather(known, tf.where(swaps, newest(wrote & earlier), batch + rows))
        # Several writes to one place all write the last image, so that their order is irrelevant.
        self.images.value.scatter_update(tf.IndexedSlices(tf.gather(known, newest(wrote)), place))
        filled = tf.minimum(self.count.value + tf.cast(batch, tf.int64), self.size)
        self.count.assign(filled)
        return returned

    def get_config(self):
        own = {"size": self.size, "seed": self.seed, "stream": self.stream}
        return {**super().get_config(), **own}


def _gather_replicas(new: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns this replica's number of images, the index of its first, and all replicas' images."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tf.shape(new)[0], tf.constant(0), new
    here, before, _ = uneven_batches.replica_offset(tf.shape(new)[0])
    context = tf.distribute.get_replica_context()
    return here, before, context.all_gather(new[:here], axis=0)
