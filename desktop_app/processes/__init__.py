"""Processes of this application.

How they are started (`start`) and end with their parent (`lifetime`), long work and chat templates in processes that can be
killed (`worker`, `renderer`), and which process owns a data folder (`folder_lock`). What a process does belongs elsewhere.
"""
