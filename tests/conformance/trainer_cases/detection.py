"""Cases of `FasterRCNN`."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.models import faster_rcnn
from dlrecipes.training import FasterRCNN

EXAMPLES, SIZE, OBJECTS = 16, 24, 3


def detector(**options):
    def make():
        images = keras.Input((None, None, 3))
        features = keras.layers.Conv2D(6, 5, 4, "same", activation="tanh")(images)
        network = faster_rcnn(
            keras.Model(images, features),
            num_classes=2,
            sizes=(8, 12),
            ratios=(1,),
            stride=4,
            filters=6,
            num_proposals=8,
            # Suppression would keep other boxes in bfloat16.
            iou_threshold=1.0,
            min_size=2,
            pool_size=2,
            units=8,
            dropout=0.0,
        )
        settings = {"num_anchors": 24, "num_regions": 16, "num_proposals": 80, "seed": 3}
        model = FasterRCNN(network, ["a", "b"], **{**settings, **options})
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.5, epsilon=1e-3))
        return model

    return make


def scenes():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (EXAMPLES, SIZE, SIZE, 3)).astype("float32")
    corner = rng.uniform(0, 10, (EXAMPLES, OBJECTS, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(6, 12, corner.shape)], axis=-1)
    classes = rng.integers(-1, 2, (EXAMPLES, OBJECTS)).astype("int32")
    ignored = rng.uniform(size=(EXAMPLES, OBJECTS)) < 0.2
    return images, {"boxes": boxes.astype("float32"), "classes": classes, "ignored": ignored}


def uncounted():
    images, targets = scenes()
    return images, {name: targets[name] for name in ("boxes", "classes")}


CASES = {
    "FasterRCNN": TrainerCase(detector(), scenes),
    "FasterRCNN, inner anchors": TrainerCase(
        detector(cross_border=False, positive_regions=0.5, rpn_beta=1.0), uncounted
    ),
}
