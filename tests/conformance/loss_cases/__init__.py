"""Conformance cases of the public losss, a file a family; each holds `CASES`."""
