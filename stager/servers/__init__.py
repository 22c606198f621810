"""Web servers as plan parts: what each needs of a host, its files, its commands."""
