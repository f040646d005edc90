"""Tokens that are guessed before the model has chosen them, and verified several at once.

The model chooses every token of a reply by itself, from its own logits and with the same draws; a guess only decides what is
computed at once (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023). Runs in the engine
process only.
"""
