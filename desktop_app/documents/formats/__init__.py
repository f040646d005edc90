"""One module a kind of file: a path in, pages of text out. They run in the extraction process alone."""
