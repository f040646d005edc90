"""What a model is: families, vocabularies, chat formats and the catalogue. Pure: no network, no Qt, no llama.cpp."""
