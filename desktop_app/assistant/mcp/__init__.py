"""Tools of MCP servers: the customary configuration, connections on the official `mcp` package, and what they offer as tools."""
