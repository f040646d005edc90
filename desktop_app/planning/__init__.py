"""What fits this computer, and why.

Bytes of a model (`footprint`), what may be chosen (`candidates`), the choice (`planner`) among ways to run it
(`configuration`) and its reasons in words (`explanation`), this computer as the planner sees it (`computer`), corrections by
earlier loads (`calibration`), loading by plan (`load_plan`), `--quant auto` (`automatic`) and the catalogue's precomputed
sizes (`catalogue_sizes`). Computation and small files; ggml is asked through the engine only.
"""
