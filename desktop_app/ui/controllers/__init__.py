"""What the window does when something happens, without widgets: each can be tested without a window.

Drafts (`drafts`), files that are dropped or named (`importing`), ways out of a failed load or a full context (`remedies`), what
the user is told (`notices`), folders and pins (`folders`), titles by the model (`titles`), deleting and exporting chats
(`chat_actions`) and removing models (`removal`).
"""
