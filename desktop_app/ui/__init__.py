"""The window, in PySide6 widgets. Nothing outside this folder imports it, except the start of the application."""
