"""Loss functions: pure, and knowing no model."""
