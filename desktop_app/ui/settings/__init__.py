"""The settings: a page with sections.

What is stored belongs to `desktop_app.settings`.
"""
