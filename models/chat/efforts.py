"""Reasoning efforts, in the words of gpt-oss and of the servers that speak OpenAI's protocol."""

from __future__ import annotations

EFFORTS = ("low", "medium", "high")
