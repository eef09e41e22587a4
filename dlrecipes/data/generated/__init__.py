"""Built-in data: generated offline, deterministic by seed."""
