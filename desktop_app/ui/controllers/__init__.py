"""The window's reactions, without widgets: each can be tested without a window.

Chats: what is typed (`drafts`), opening, sending, deleting and exporting (`chat_actions`), folders and pins (`folders`), titles
by the model (`titles`), assistants (`assistants`), imports and backups (`transfer`), thinking (`thinking`), remedies of a failed
load or a full context (`remedies`). Models: getting them and
what fits (`model_actions`), removing them (`removal`). Files that are dropped or named (`importing`). What the user is told
(`notices`). A controller gets services and tells by signals what the window is to show; a dialog that asks something belongs to
`ui/dialogs.py`, a part of the window to the folder of its subject.
"""
