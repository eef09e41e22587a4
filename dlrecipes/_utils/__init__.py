"""Helpers without a subject of their own: files, processes, CPUs, quiet starts, Markdown."""
