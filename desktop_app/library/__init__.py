"""Models on this computer, and models to get.

What is installed (`installed`), installing (`install`), what a source is (`source_facts`), loading a converted file
once before it gets its name (`smoke_load`), the tokens for hosts (`hub_tokens`), and the catalogue (`catalogue`).
Choosing what fits belongs to `planning`, downloading to `converter.hub`.
"""
