"""Python of a model, in a process that the system holds to its work folder: no network, no other files, no other processes."""
