"""The window, in PySide6 widgets. Nothing outside this folder imports it, except the start of the application.

`window.py` puts the parts together and connects them: `frame.py` says where they are, `pages.py` which page is in front,
`dialogs.py` opens dialogs, `services.py` makes what works behind it all. What happens on an action is in `controllers/`.
"""
