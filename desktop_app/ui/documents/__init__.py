"""Document collections in the window: what is in them, and which passages a question would get."""
