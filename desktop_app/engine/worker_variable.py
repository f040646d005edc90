"""The environment variable that names the engine's workers."""

VARIABLE = "ZHIYIN_WORKERS"
"""The environment variable: their addresses, with commas between them."""
