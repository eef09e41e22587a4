"""Conformance cases of the public models, one file per family. Each holds `CASES`."""
