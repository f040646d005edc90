"""The state of a sequence.

Snapshots, their files, rounding to 8 bits, and which state belongs to which chat. Runs in the engine process only.
"""
