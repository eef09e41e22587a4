"""Conformance cases of the public layers, one file per family. Each holds `CASES`."""
