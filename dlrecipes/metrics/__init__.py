"""Metrics as their fields define them; they know nothing of recipes."""
