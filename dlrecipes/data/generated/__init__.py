"""Built-in data, generated offline and deterministic by seed."""
