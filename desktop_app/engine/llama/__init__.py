"""The runner on llama.cpp.

Models, tokenizers, LoRA adapters on a loaded model, and why a load failed. Runs in the engine process only.
"""
