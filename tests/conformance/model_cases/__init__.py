"""Conformance cases of the public models, a file a family; each holds `CASES`."""
