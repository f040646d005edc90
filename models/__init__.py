"""What a model is: families, vocabularies, chat formats and memory footprint. Pure: no network, no Qt, no llama.cpp."""
