"""Tokenizer files of every kind, read into one `Vocabulary`."""
