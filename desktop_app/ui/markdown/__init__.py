"""A model's text to blocks, blocks to widgets: parser, formulas, code, highlighting.

No HTML is made, nothing is loaded, links open only after a click.
"""
