"""An assistant that acts: the loop from a message over tools to an answer, without a window.

The window and the terminal give it the engine, the tools that are on and whom to ask; every step is a message of the chat.
"""
