"""The formats of LiteRT files."""

# The largest first.
LITERT_KINDS = ("float32", "float16", "dynamic", "int8")
