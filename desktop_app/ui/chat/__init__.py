"""The open chat and the list of chats: messages, composer, replies, sidebar.

The Markdown inside a message belongs to `markdown`, what is sent to the model to `desktop_app.chat`.
"""
