"""Engine parts: plug-ins of ggml for graphics cards, as files that are added, chosen and taken back.

What a part is and whether it fits (`manifest`), which are here (`store`), what they loaded or why not (`loading`), and the trial
of a new one (`trial`) in a process of its own (`trial_process`). Parts are built by `packaging/engine/build.py`.
"""
