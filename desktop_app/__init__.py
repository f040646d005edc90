"""The application: the engine process, the installed models, the chats, the commands and the window."""
