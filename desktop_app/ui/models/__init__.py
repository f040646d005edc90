"""Choosing, getting, converting and removing models.

Picker, catalogue page, dialogs, cards of running jobs, fit badges. What runs the jobs belongs to `bridges`.
"""
