"""What is known of a droplet once it is written."""

from __future__ import annotations

from stager.archive.needles import Hit
from stager.model.droplet import Layer
from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A layer as bytes of the droplet's file: from ``offset``, ``compressed_bytes`` long."""

    name: str
    offset: int
    compressed_bytes: int
    layer: Layer


@dataclass(frozen=True, slots=True)
class Packed:
    """A written droplet.

    Parameters
    ----------
    size_bytes:
        Of the droplet's file; of a directory, the sum of its files.
    sha256:
        Of the droplet's file; of a directory, that of its ``droplet.sha256``, which (through the layers'
        digests in ``droplet.yaml``) vouches for everything in it.
    files:
        How many regular files.
    members:
        The layers in order, the one with the manifest last. What follows them is the tar's end.
    hits:
        Needles that were found.
    """

    size_bytes: int
    sha256: str
    files: int
    members: tuple[Member, ...]
    hits: tuple[Hit, ...] = ()
