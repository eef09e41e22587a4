"""Matplotlib figures that several recipes share; drawn without a screen.

Each name is imported from its module when it is first used: `tiled` does not load Keras.
"""

from typing import TYPE_CHECKING

from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.figures._boxes import box_colours, draw_boxes
    from dlrecipes.figures.charts import (
        BLUE,
        GREY,
        ORANGE,
        bars,
        confusion,
        distinct_colours,
        learning_curves,
        legend_below,
        roc_curves,
        save,
    )
    from dlrecipes.figures.classification import (
        accuracy_by_cost,
        confusion_counts,
        mistakes,
        reliability_diagram,
    )
    from dlrecipes.figures.detection import (
        annotated_images,
        detected_objects,
        detection_mistakes,
    )
    from dlrecipes.figures.detection_curves import precision_recall, recall_by_number
    from dlrecipes.figures.examples import example_images, example_texts
    from dlrecipes.figures.explanations import (
        explanations,
        predictions_to_explain,
        preferred_units,
    )
    from dlrecipes.figures.fonts import fit_fonts
    from dlrecipes.figures.images import epoch_frames, image_grid, over_epochs, select_epochs
    from dlrecipes.figures.networks import convolutions, feature_maps, filters
    from dlrecipes.figures.text import tagged_sentences
    from dlrecipes.figures.tiles import tiled

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "accuracy_by_cost",
    "annotated_images",
    "bars",
    "box_colours",
    "confusion",
    "confusion_counts",
    "convolutions",
    "detected_objects",
    "detection_mistakes",
    "distinct_colours",
    "draw_boxes",
    "epoch_frames",
    "example_images",
    "example_texts",
    "explanations",
    "feature_maps",
    "filters",
    "fit_fonts",
    "image_grid",
    "learning_curves",
    "legend_below",
    "mistakes",
    "over_epochs",
    "precision_recall",
    "predictions_to_explain",
    "preferred_units",
    "recall_by_number",
    "reliability_diagram",
    "roc_curves",
    "save",
    "select_epochs",
    "tagged_sentences",
    "tiled",
]

attach(
    __name__,
    {
        "BLUE": "charts",
        "GREY": "charts",
        "ORANGE": "charts",
        "accuracy_by_cost": "classification",
        "annotated_images": "detection",
        "bars": "charts",
        "box_colours": "_boxes",
        "confusion": "charts",
        "confusion_counts": "classification",
        "convolutions": "networks",
        "detected_objects": "detection",
        "detection_mistakes": "detection",
        "distinct_colours": "charts",
        "draw_boxes": "_boxes",
        "epoch_frames": "images",
        "example_images": "examples",
        "example_texts": "examples",
        "explanations": "explanations",
        "feature_maps": "networks",
        "filters": "networks",
        "fit_fonts": "fonts",
        "image_grid": "images",
        "learning_curves": "charts",
        "legend_below": "charts",
        "mistakes": "classification",
        "over_epochs": "images",
        "precision_recall": "detection_curves",
        "predictions_to_explain": "explanations",
        "preferred_units": "explanations",
        "recall_by_number": "detection_curves",
        "reliability_diagram": "classification",
        "roc_curves": "charts",
        "save": "charts",
        "select_epochs": "images",
        "tagged_sentences": "text",
        "tiled": "tiles",
    },
)
