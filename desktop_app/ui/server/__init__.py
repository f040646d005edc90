"""The local server in the window: the lamp that shows that it listens, and the dialog with its switch and the last requests.

What the server is and answers belongs in `desktop_app/server`.
"""
