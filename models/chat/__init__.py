"""Messages to prompt, reply to text, reasoning and tool calls."""
