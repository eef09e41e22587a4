"""The setting of a recipe's precision."""

from __future__ import annotations

from typing import Any, Literal

from dlrecipes.recipe.options import setting

Precision = Literal["auto", "float32", "mixed_bfloat16"]


def precision_setting(default: Precision = "auto") -> Any:
    """Returns the setting `precision`, of type `Precision`, for a recipe's `Config`.

    A recipe that has it builds its network inside
    `dlrecipes.training._engine.precision.built_in`. The runner builds it again in float32 for
    evaluation and publication.

    Args:
        default: Its default. Defaults to `"auto"`.
    """
    return setting(
        default,
        "Precision of training; auto: mixed_bfloat16 on x86 CPUs with instructions for it.",
    )
