"""Chats of other programs, read from what these export: ChatGPT, LM Studio, Jan, Open WebUI, and our own JSON.

One module a program: values of its JSON in, chats out (`chat.Chat`). Which program a file is from, archives, folders and limits
are `reading`'s. A chat keeps the same id at each import, so that none comes twice.
"""
