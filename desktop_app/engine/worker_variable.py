"""How the engine's process is told its workers."""

VARIABLE = "ZHIYIN_WORKERS"
"""The environment variable: their addresses, with commas between them."""
