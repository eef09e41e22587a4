"""Loss functions: pure, and knowing no model."""

__all__: list[str] = []
