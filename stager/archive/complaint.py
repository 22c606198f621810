"""How an archive is refused: what is SourceUnreadable in an upload is DropletCorrupt in a droplet."""

from __future__ import annotations

from stager.errors import DropletCorrupt, SourceUnreadable, StagerError, UnsafeSource
from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """How the reader of an archive says what is wrong with it: an upload and a droplet differ.

    Parameters
    ----------
    subject:
        What the archive is called at the beginning of a sentence.
    unreadable, unsafe:
        The errors raised for bytes that are not an archive, and for members that must not be unpacked.
    mend_unreadable, mend_unsafe, mend_link:
        What the reader of the message does next; the last one where a symbolic link is at fault.
    """

    subject: str
    unreadable: type[StagerError]
    unsafe: type[StagerError]
    mend_unreadable: str
    mend_unsafe: str
    mend_link: str

    def damaged(self, details: str, mend: str = "") -> StagerError:
        """The bytes are not an archive, or not all of one."""
        return self.unreadable(
            f"{self.subject} cannot be read as an archive.",
            details=details,
            resolution=mend or self.mend_unreadable,
        )

    def refused(self, path: str, why: str, mend: str = "") -> StagerError:
        """A member must not be unpacked. ``why`` completes the sentence "'path' …"."""
        return self.unsafe(
            f"{self.subject} holds something that must not be unpacked.",
            details=f"{path!r} {why}.",
            resolution=mend or self.mend_unsafe,
        )

    def oversized(self, details: str, mend: str) -> StagerError:
        """It would unpack to more than it may."""
        return self.unsafe(f"{self.subject} is too large.", details=details, resolution=mend)


def upload(name: str) -> Complaint:
    """For an archive that somebody handed in; ``name`` is what they called it."""
    return Complaint(
        name,
        SourceUnreadable,
        UnsafeSource,
        "Make the archive again and hand it in whole: .zip, .tar, .tar.gz, .tar.zst, .tar.xz or .tar.bz2.",
        "Make the archive again without it.",
        "Let the link be relative and end inside the application, or put there what it leads to.",
    )


def droplet(name: str = "The droplet") -> Complaint:
    """For a droplet that is verified or unpacked."""
    mend = "Do not start it. Build it again, or fetch it again from where it was built."
    return Complaint(name, DropletCorrupt, DropletCorrupt, mend, mend, mend)
