"""Models as data: families, vocabularies, chat formats and the catalogue. Pure: no network, no Qt, no llama.cpp."""
