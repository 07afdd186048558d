"""What this application can be told on a command line."""
