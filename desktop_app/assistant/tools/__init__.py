"""The tools of the application itself: one file a tool or a group of them that belongs together."""
