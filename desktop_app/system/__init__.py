"""Hardware of this computer: processor, cores, memory and its limits, graphics cards, the display.

Facts only, read from the system; what follows from them belongs to `planning`.
"""
