"""Droplets as bytes: tar members, their compression, their digests; writing and reading them."""
