"""Tool calls in a reply: one file a notation, and the scanner that tells calls from text while a reply streams."""
