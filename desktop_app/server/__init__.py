"""The local server: OpenAI's, Anthropic's and Ollama's protocols over HTTP, on the engine, for other programs of this computer.

`app.py` has the routes; `access.py` and `connections.py` keep others out and bound what a client may cost; `model_pool.py` loads
models on demand; `replies.py` is one reply as events; a folder for each protocol turns its requests into ours and back.
"""
