"""Chats without a window.

Messages as a tree (`conversation`), what is attached to them (`attachment`), what was chosen for one chat
(`choices`), folders and pins (`folders`), titles by the model (`titles`), their SQLite file (`history`), reasoning and
answer told apart (`reasoning`), what is sent for a reply (`request`), text files that are attached (`text_file`) and export
(`export`), import (`imports`). No Qt here: the window and the terminal share this code.
"""
