"""Sources: a directory or an archive becomes one read-only tree, indexed once."""
