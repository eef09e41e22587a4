"""Conformance cases of the public layers, a file a family; each holds `CASES`."""
