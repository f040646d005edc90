"""The settings dialog and its pages.

What is stored belongs to `desktop_app.settings`.
"""
