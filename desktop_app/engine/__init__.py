"""The engine: a process of its own that runs models, its protocol and its client."""
