"""Widgets and looks that several pages share: buttons, labels, notices, icons, fonts, theme.

Nothing here knows what a chat or a model is.
"""
