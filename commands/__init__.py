"""One file a command: signature = grammar, docstring = help, yields = the thread."""
