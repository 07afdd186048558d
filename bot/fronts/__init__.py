"""Where requests come in, and where logs are read: each knows one outside library."""
