"""Processes of this application.

How they are started (`start`) and end with their parent (`lifetime`), long work in one of its own (`worker`), and which
process owns a data folder (`folder_lock`). What a process does belongs elsewhere.
"""
