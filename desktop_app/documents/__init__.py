"""Documents of the user's own: their text, an index of it, and the passages that answer a question.

Files are untrusted: their text is extracted in a process with limits (`extraction.py`, `formats/`). `chunking.py` cuts it,
`store.py` keeps it in one SQLite file, `indexing.py` keeps that up to date, `retrieval.py` searches it.
"""
