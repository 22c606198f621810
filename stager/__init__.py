"""stager turns an uploaded source tree into a droplet: one tarball that starts on any Linux host."""

__version__ = "0.1.0"
