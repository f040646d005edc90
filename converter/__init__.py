"""Checkpoint to GGUF in one pass: read, transform, quantize, write, in bounded memory. Imports `models` only."""
