"""Conformance cases of the public losses, one file per family. Each holds `CASES`."""
