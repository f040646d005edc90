"""Languages: translations, the core's sentences in the window's words, numbers, sizes and dates.

Widgets mark their texts with `tr`; nothing here makes a widget.
"""
