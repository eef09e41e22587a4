"""Loss functions: pure functions that are independent of any model."""

from dlrecipes.losses.adversarial import (
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from dlrecipes.losses.contrastive import contrastive_loss
from dlrecipes.losses.detection import detection_loss, region_proposal_loss
from dlrecipes.losses.gradient_penalty import gradient_penalty
from dlrecipes.losses.triplet import triplet_loss

__all__ = [
    "contrastive_loss",
    "detection_loss",
    "gradient_penalty",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_discriminator_loss",
    "minimax_generator_loss",
    "non_saturating_discriminator_loss",
    "non_saturating_generator_loss",
    "region_proposal_loss",
    "triplet_loss",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
]
