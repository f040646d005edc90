"""Ollama's protocol: chat, generate, embed, and what it tells of models."""
