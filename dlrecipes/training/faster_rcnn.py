"""Training of Faster R-CNN: proposals and their classes, jointly."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.layers import BoxCoder, BoxMatcher
from dlrecipes.layers._arguments import integer, number
from dlrecipes.losses.detection import detection_terms, region_proposal_terms
from dlrecipes.models.faster_rcnn import faster_rcnn_detector, faster_rcnn_stages
from dlrecipes.training._engine import box_checks
from dlrecipes.training._engine.checks import refuse_losses_and_metrics
from dlrecipes.training._engine.detection_targets import Objects, TargetSampler, objects_of
from dlrecipes.training._engine.optimizer_step import batch_count
from dlrecipes.training._engine.training_proposals import TrainingProposals
from dlrecipes.training.trainer import Trainer, batch_size

LOSSES = ("rpn_objectness_loss", "rpn_box_loss", "class_loss", "box_loss")
POSITIVES = ("rpn_positives", "head_positives")
# Arguments of the constructor that are not Keras objects.
SETTINGS = (
    *("num_anchors", "positive_anchors", "anchor_thresholds", "cross_border"),
    *("num_proposals", "max_candidates", "num_regions", "positive_regions", "region_thresholds"),
    *("deviations", "rpn_box_weight", "box_weight", "rpn_beta", "seed"),
)


@keras.saving.register_keras_serializable(package="dlrecipes")
class FasterRCNN(Trainer):
    """Trains Faster R-CNN to find the boxes and classes of objects, and detects them.

    Each step is the paper's approximate joint training. The first stage scores all anchors, and
    learns from a sample of them. Its best boxes, and the true ones, are the proposals, which are
    constants for the gradient. The second stage classifies and refines a sample of them only. The
    loss is the sum of four terms, each a mean over the sampled boxes of an image, and then over the
    images:

    - `rpn_objectness_loss` and `rpn_box_loss` of `losses.region_proposal_loss`,
    - `class_loss` and `box_loss` of `losses.detection_loss`.

    `fit` takes images and a dictionary of `boxes`, `classes` and `ignored`, as described for
    `check_batch`. Objects that are ignored (`difficult` in Pascal VOC, `iscrowd` in COCO) count
    nowhere: anchors and proposals that belong to them are neither positive nor negative, see
    `BoxMatcher`. It logs the four terms, their weighted sum `loss` (with the weights'
    regularizers), `rpn_positives` and `head_positives`, the fractions of positives in the samples,
    and `gradient_norm`. Validation logs all but the norm.

    Samples are a function of the seed and of the number of the step, so that a resumed run repeats
    them.

    Args:
        network: Network of `models.faster_rcnn`. Its own `num_proposals` are used by `call` only.
        class_names: Distinct names of the classes, in the order of their numbers.
        num_anchors: Anchors sampled per image, at least 1. Defaults to 256.
        positive_anchors: Largest fraction of positives among them, in (0, 1]. Defaults to 0.5.
        anchor_thresholds: Overlap below which an anchor is negative, and from which it is positive.
            Defaults to `(0.3, 0.7)`.
        cross_border: Whether anchors that cross the edge of the image are trained. The paper
            ignores them, which is `False`: in an image of 256 pixels, a fifth of the anchors of 128
            pixels and none of 256 remain. torchvision and Detectron2 train them. Defaults to
            `True`.
        num_proposals: Proposals per image in training, at least 1. Defaults to 2000.
        max_candidates: Best-scored anchors that suppression considers in training, at least 1.
            Defaults to 2000.
        num_regions: Proposals sampled per image, at least 1. Defaults to 128.
        positive_regions: Largest fraction of positives among them, in (0, 1]. Defaults to 0.25.
        region_thresholds: Overlap below which a proposal is background, and from which it has the
            class of the object. Defaults to `(0.5, 0.5)`.
        deviations: Standard deviations that the second stage's deltas are divided by. Defaults to
            `(0.1, 0.1, 0.2, 0.2)`.
        rpn_box_weight: Weight of `rpn_box_loss`, at least 0. Defaults to 1.
        box_weight: Weight of `box_loss`, at least 0. Defaults to 1.
        rpn_beta: Difference from which `rpn_box_loss` is linear, above 0. Defaults to 1 / 9, as in
            the authors' code.
        seed: Seed of the samples. Defaults to 0.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`.
        training: Whether dropout and batch normalization are in training mode. Defaults to `False`.

    Returns:
        The network's outputs.

    Raises:
        ValueError: If an argument is out of bounds, or the network does not fit the class names.

    Example:

    >>> import keras
    >>> from dlrecipes.models import faster_rcnn
    >>> from dlrecipes.training import FasterRCNN
    >>> images = keras.Input((None, None, 3))
    >>> features = keras.layers.Conv2D(4, 3, strides=8, padding="same")(images)
    >>> network = faster_rcnn(
    ...     keras.Model(images, features), num_classes=2, sizes=(16, 32), stride=8, filters=4,
    ...     num_proposals=5, pool_size=2, units=8,
    ... )
    >>> model = FasterRCNN(network, ["cat", "dog"])
    >>> tuple(model.detect(keras.ops.zeros((1, 64, 64, 3)), max_detections=3)["boxes"].shape)
    (1, 3, 4)

    Reference:
        Ren, He, Girshick and Sun, 2015, "Faster R-CNN: towards real-time object detection with
        region proposal networks", sections 3.1.2, 3.1.3 and 3.2.
        https://arxiv.org/abs/1506.01497
        Girshick, 2015, "Fast R-CNN", section 2.3. https://arxiv.org/abs/1504.08083
    """

    serializable_arguments = ("network",)

    def __init__(
        self,
        network: keras.Model,
        class_names: Sequence[str],
        num_anchors: int = 256,
        positive_anchors: float = 0.5,
        anchor_thresholds: Sequence[float] = (0.3, 0.7),
        cross_border: bool = True,
        num_proposals: int = 2000,
        max_candidates: int = 2000,
        num_regions: int = 128,
        positive_regions: float = 0.25,
        region_thresholds: Sequence[float] = (0.5, 0.5),
        deviations: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
        rpn_box_weight: float = 1.0,
        box_weight: float = 1.0,
        rpn_beta: float = 1 / 9,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # The stages share the network's weights; in a function, Keras does not track them again.
        stages = faster_rcnn_stages(network)
        self._stages = lambda: stages
        self.network = network
        self.class_names = _checked_names(class_names, network)
        self.num_anchors = num_anchors
        self.positive_anchors = positive_anchors
        self.anchor_thresholds = tuple(anchor_thresholds)
        self.cross_border = bool(cross_border)
        self.num_proposals = num_proposals
        self.max_candidates = max_candidates
        self.num_regions = num_regions
        self.positive_regions = positive_regions
        self.region_thresholds = tuple(region_thresholds)
        self.deviations = tuple(deviations)
        self.rpn_box_weight = rpn_box_weight
        self.box_weight = box_weight
        self.rpn_beta = rpn_beta
        self.seed = seed
        self._check_settings()
        self._anchor_targets, self._region_targets = self._target_samplers()
        own = network.get_layer("proposals")
        selection = TrainingProposals(
            num_proposals, max_candidates, own.iou_threshold, own.min_size
        )
        self._selection = lambda: selection
        self.means = {name: keras.metrics.Mean(name=name) for name in (*LOSSES, *POSITIVES)}
        # XLA cannot compile TensorFlow's non-maximum suppression.
        self.supports_jit = False
        self.built = True

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """Configures training, as `keras.Model.compile` does without losses and metrics.

        Args:
            optimizer: A name or a Keras optimizer. Defaults to `"rmsprop"`, as in Keras.
            loss: Must be `None`, the default; the place of Keras' argument.
            **kwargs: Other keyword arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss or metrics are given.
        """
        refuse_losses_and_metrics(type(self).__name__, {"loss": loss, **kwargs})
        super().compile(optimizer=optimizer, **kwargs)

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error unless a batch has the form that `fit` takes.

        Args:
            x: Float images of shape `(batch, height, width, channels)`.
            y: A dictionary of `boxes`, `(left, top, right, bottom)` in pixels, of shape
                `(batch, objects, 4)`; `classes`, integers of shape `(batch, objects)`, -1 where an
                image has fewer objects; and perhaps `ignored`, boolean of the same shape.
            sample_weight: Must be `None`, the default.

        Raises:
            ValueError: If something is missing or has another shape or type.
        """
        super().check_batch(x)
        box_checks.check_batch(x, y, sample_weight)

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for images or boxes that are not finite, or boxes that cannot be."""
        box_checks.check_values(x, y, self.class_names)

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            terms, fractions = self._terms(x, y, batch_count(self.optimizer), training=True)
            loss = self._weighted_sum(terms)
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, self.trainable_variables)
        logs = self._track(batch_size(x), loss, {**terms, **fractions})
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        terms, fractions = self._terms(x, y, tf.constant(0), training=False)
        return self._track(batch_size(x), self._weighted_sum(terms), {**terms, **fractions})

    def detect(
        self,
        images,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.3,
        num_proposals: int = 300,
    ) -> dict[str, tf.Tensor]:
        """Detects objects; works inside a `tf.function`.

        Args:
            images: Images of shape `(batch, height, width, channels)`, in the form that the network
                was trained with.
            max_detections: Maximum number of boxes per image, at least 1. Defaults to 100.
            score_threshold: Probability that a box must exceed, in [0, 1]. Defaults to 0.05.
            iou_threshold: Overlap above which the lower-scoring of two boxes of a class is dropped,
                in [0, 1]. Defaults to 0.3.
            num_proposals: Proposals per image, at least 1. Defaults to 300.

        Returns:
            A dictionary of `boxes`, `scores`, `classes` and `count`, as `faster_rcnn_detector`
            returns it.
        """
        settings = (max_detections, score_threshold, iou_threshold, num_proposals)
        return self.detector(*settings)(images, training=False)

    def detector(
        self,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.3,
        num_proposals: int = 300,
        name: str = "faster_rcnn_detector",
    ) -> keras.Model:
        """Returns the detector as a model that shares the weights, for export.

        Args:
            max_detections: As in `detect`. Defaults to 100.
            score_threshold: As in `detect`. Defaults to 0.05.
            iou_threshold: As in `detect`. Defaults to 0.3.
            num_proposals: As in `detect`. Defaults to 300.
            name: Name of the model. Defaults to `"faster_rcnn_detector"`.

        Returns:
            A model of `models.faster_rcnn_detector`.
        """
        with tf.init_scope():
            return faster_rcnn_detector(
                self.network,
                max_detections,
                iou_threshold,
                score_threshold,
                self.deviations,
                num_proposals,
                name,
            )

    def _target_samplers(self) -> tuple[TargetSampler, TargetSampler]:
        """Returns the samplers of anchors and of regions."""
        return (
            TargetSampler(
                BoxMatcher(*reversed(self.anchor_thresholds)),
                BoxCoder(),
                self.num_anchors,
                self.positive_anchors,
                self.seed,
                stream=0,
            ),
            TargetSampler(
                BoxMatcher(*reversed(self.region_thresholds), match_every_object=False),
                BoxCoder(self.deviations),
                self.num_regions,
                self.positive_regions,
                self.seed,
                stream=1,
            ),
        )

    def _terms(self, images, targets, step, training: bool):
        """Returns the terms of the loss, and the fractions of positives, each a scalar by name."""
        proposer, classifier = self._stages()
        first = proposer(images, training=training)
        objects = objects_of(targets)
        anchors = self._anchor_targets(
            first["anchors"], objects, step, None if self.cross_border else images
        )
        rpn_terms = region_proposal_terms(
            anchors.labels,
            anchors.deltas,
            anchors.rows(first["objectness"]),
            anchors.rows(first["anchor_deltas"]),
            self.rpn_beta,
        )
        regions = self._region_targets(self._proposals(first, images, objects), objects, step)
        second = classifier(
            {"features": first["features"], "regions": regions.boxes}, training=training
        )
        head_terms = detection_terms(
            regions.classes, regions.deltas, second["class_logits"], second["box_deltas"]
        )
        terms = zip(LOSSES, (*rpn_terms, *head_terms), strict=True)
        fractions = zip(POSITIVES, (anchors.positives, regions.positives), strict=True)
        return tuple(
            {name: tf.reduce_mean(value) for name, value in group} for group in (terms, fractions)
        )

    def _proposals(self, first, images, objects: Objects) -> tf.Tensor:
        """Returns the proposals and the true boxes, which carry no gradient."""
        selected = self._selection()(
            first["objectness"], first["anchor_deltas"], first["anchors"], images
        )["boxes"]
        return tf.stop_gradient(tf.concat([selected, objects.counted()], axis=1))

    def _weighted_sum(self, terms: dict[str, tf.Tensor]) -> tf.Tensor:
        weights = {"rpn_box_loss": self.rpn_box_weight, "box_loss": self.box_weight}
        weighted = [weights.get(name, 1.0) * term for name, term in terms.items()]
        return tf.add_n([*weighted, *self.losses])

    def _track(self, examples, loss, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds a batch's means to those of the epoch, and returns the latter."""
        self._loss_tracker.update_state(loss, sample_weight=examples)
        for name, mean in self.means.items():
            mean.update_state(values[name], sample_weight=examples)
        means = {name: mean.result() for name, mean in self.means.items()}
        return {"loss": self._loss_tracker.result(), **means}

    def _check_settings(self) -> None:
        for name in ("num_anchors", "num_proposals", "max_candidates", "num_regions"):
            integer(name, getattr(self, name))
        integer("seed", self.seed, 0)
        for name in ("positive_anchors", "positive_regions"):
            number(name, getattr(self, name), "a number in (0, 1]", lambda x: 0 < x <= 1)
        for name in ("anchor_thresholds", "region_thresholds"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name} must be two numbers, not {getattr(self, name)!r}.")
        for name in ("rpn_box_weight", "box_weight"):
            number(name, getattr(self, name), "a number of at least 0", lambda x: x >= 0)
        number("rpn_beta", self.rpn_beta, "a number above 0", lambda x: x > 0)

    def get_config(self):
        settings = {name: getattr(self, name) for name in SETTINGS}
        return {**super().get_config(), "class_names": list(self.class_names), **settings}


def _checked_names(class_names: Sequence[str], network: keras.Model) -> tuple[str, ...]:
    """Returns the names of the classes; raises an error unless there is one for each class."""
    names = tuple(class_names)
    classes = network.output["box_deltas"].shape[2]
    if len(names) != classes:
        raise ValueError(f"{network.name} has {classes} classes, but {len(names)} class names.")
    if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be distinct strings, not {list(names)!r}.")
    return names
