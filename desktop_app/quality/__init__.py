"""Quality of quantized models: perplexity and KL divergence against the original, on a text.

The engine process computes the figures, by llama.cpp's definitions; what is here chooses the text, keeps the reference's
distributions for the next time, and sums up.
"""
