"""Graphs of our own on llama-cpp-python's libggml: the architectures that llama.cpp lacks."""
