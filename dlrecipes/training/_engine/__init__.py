"""Shared by the trainers; not public."""
