"""What the tree says of itself: package.json, its packages, the versions it asks for, its files."""
