"""The core from the window's thread: engine, chats, library, conversions, catalogue.

Each works on a thread or in a process of its own and answers by signals. No widgets here.
"""
