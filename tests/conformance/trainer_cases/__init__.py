"""Conformance cases of the trainers, one file per family. Each holds `CASES`."""
