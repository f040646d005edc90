"""Processes of this application.

How they are started (`start`), long work in one of its own (`worker`), and which process owns a data folder
(`folder_lock`). What a process does belongs elsewhere.
"""
