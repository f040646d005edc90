"""Models on other computers: any server with OpenAI's protocol, behind the interface of the engine's client; no window.

The addresses that the user added (`addresses`), connections with sentences for what goes wrong (`connection`, `failures`), our
requests in their words (`asked`), streams of events (`events`), replies made of them (`reply`), and the engine of it (`engine`).
"""
