"""Helpers for files, processes, CPUs, quiet imports and Markdown."""
