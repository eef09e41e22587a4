"""Selection of proposals in a training step, in less time than in an exported model."""

from dlrecipes.layers import NonMaxSuppression, RegionProposals
from dlrecipes.layers._greedy_suppression import kept_ranks_of_batch


class TrainingProposals(RegionProposals):
    """Selects the boxes that `RegionProposals` selects, with an operation that LiteRT lacks.

    Args:
        *args: Arguments of `RegionProposals`.
        **kwargs: Keyword arguments of `RegionProposals`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._suppression = _BatchSuppression(
            self.num_proposals, self.iou_threshold, max_candidates=self.max_candidates
        )


class _BatchSuppression(NonMaxSuppression):
    """Suppresses boxes without classes."""

    def _kept(self, boxes, eligible, classes):
        return kept_ranks_of_batch(boxes, eligible, self.iou_threshold, self.max_detections)
