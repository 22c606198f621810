"""Everything that can go wrong, each with its exit code, its slug and whose fault it is.

::

    StagerError                     1   a bug in stager, unless a subclass says otherwise
    ├── UsageError                  2
    ├── ConfigurationError         10   stager.yml, Procfile, environment, flags
    ├── SourceUnreadable           11
    ├── UnsafeSource               12
    ├── NothingDetected            21
    ├── AmbiguousRuntime           22
    ├── UnknownRuntime             23
    ├── PlanError                  30
    │   ├── UnsupportedVersion     31
    │   ├── NoStartCommand         32
    │   └── ConflictingLockFiles   33
    ├── StepFailed                 40
    ├── HostToolMissing            41
    ├── StepTimedOut               42
    ├── TemplateFailed             43
    ├── OfflineNotCached           44
    ├── PackError                  50
    │   ├── OutputNotWritable      51
    │   ├── DiskFull               52
    │   └── SourceChanged          53
    ├── VerificationFailed         60
    ├── CouldNotVerify             61
    ├── DropletCorrupt             62
    ├── PluginBroken               70
    └── Interrupted               130

The texts stand where they are raised: what is the matter (``brief``), what was seen (``details``),
what to do next (``resolution``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

Fault = Literal["application", "platform", "usage", "stager"]


class StagerError(Exception):
    """The root of all errors that stager raises on purpose.

    Parameters
    ----------
    brief:
        One sentence: what is the matter.
    details:
        What was seen, over as many lines as it takes.
    resolution:
        What the reader does next.
    slug:
        A stable name for machines; the class's own where none is given.
    """

    exit_code: ClassVar[int] = 1
    slug: str = "internal-error"
    fault: Fault = "stager"
    retry: ClassVar[bool] = False

    def __init__(
        self, brief: str, *, details: str = "", resolution: str = "", slug: str | None = None
    ) -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution
        if slug is not None:
            self.slug = slug

    def __str__(self) -> str:
        return "\n".join(part for part in (self.brief, self.details, self.resolution) if part)


class UsageError(StagerError):
    """The command line makes no sense."""

    exit_code = 2
    slug = "usage"
    fault: Fault = "usage"


class ConfigurationError(StagerError):
    """A setting is unknown, of the wrong type, or contradicts another."""

    exit_code = 10
    slug = "configuration"
    fault: Fault = "application"


class SourceUnreadable(StagerError):
    """The source is missing, cannot be opened, or is not the archive that it says it is."""

    exit_code = 11
    slug = "source-unreadable"
    fault: Fault = "usage"


class UnsafeSource(StagerError):
    """The source holds something that must not be unpacked: a link out of it, a device, too many bytes."""

    exit_code = 12
    slug = "unsafe-source"
    fault: Fault = "application"


class NothingDetected(StagerError):
    """No installed runtime recognises the source."""

    exit_code = 21
    slug = "nothing-detected"
    fault: Fault = "application"


class AmbiguousRuntime(StagerError):
    """Several runtimes recognise the source on evidence of the same strength."""

    exit_code = 22
    slug = "ambiguous-runtime"
    fault: Fault = "application"


class UnknownRuntime(StagerError):
    """A runtime was asked for that nobody provides."""

    exit_code = 23
    slug = "unknown-runtime"
    fault: Fault = "usage"


class PlanError(StagerError):
    """The application is recognised, but no plan for it can be made."""

    exit_code = 30
    slug = "plan"
    fault: Fault = "application"


class UnsupportedVersion(PlanError):
    """The application asks for a version, or an extension, that this host does not have."""

    exit_code = 31
    slug = "unsupported-version"


class NoStartCommand(PlanError):
    """Nothing says how the application is started."""

    exit_code = 32
    slug = "no-start-command"


class ConflictingLockFiles(PlanError):
    """Two lock files, or a lock file that does not belong to its manifest."""

    exit_code = 33
    slug = "conflicting-lock-files"


class StepFailed(StagerError):
    """A step of the build ended with a non-zero status."""

    exit_code = 40
    slug = "step-failed"
    fault: Fault = "application"


class HostToolMissing(StagerError):
    """A program that the build needs is not on this host."""

    exit_code = 41
    slug = "host-tool-missing"
    fault: Fault = "platform"


class StepTimedOut(StagerError):
    """A step, or the whole build, took longer than its deadline."""

    exit_code = 42
    slug = "timed-out"
    fault: Fault = "application"
    retry = True


class TemplateFailed(StagerError):
    """A template could not be rendered, or a value could not be quoted."""

    exit_code = 43
    slug = "template-failed"


class OfflineNotCached(StagerError):
    """``--offline`` was asked for, and something that the build needs is not in the cache."""

    exit_code = 44
    slug = "offline-not-cached"
    fault: Fault = "usage"


class PackError(StagerError):
    """The droplet could not be written."""

    exit_code = 50
    slug = "pack"
    fault: Fault = "platform"


class OutputNotWritable(PackError):
    """The place where the droplet should go cannot be written to."""

    exit_code = 51
    slug = "output-not-writable"
    fault: Fault = "usage"


class DiskFull(PackError):
    """No space is left where something had to be written."""

    exit_code = 52
    slug = "disk-full"
    retry = True


class SourceChanged(PackError):
    """A file changed or vanished while it was being packed."""

    exit_code = 53
    slug = "source-changed"
    fault: Fault = "usage"
    retry = True


class VerificationFailed(StagerError):
    """The droplet was made, and verification found an error in it."""

    exit_code = 60
    slug = "verification-failed"
    fault: Fault = "application"


class CouldNotVerify(StagerError):
    """Verification itself could not be carried out."""

    exit_code = 61
    slug = "could-not-verify"
    fault: Fault = "platform"


class DropletCorrupt(StagerError):
    """The file is not a droplet, is cut short, or has been tampered with."""

    exit_code = 62
    slug = "droplet-corrupt"
    fault: Fault = "usage"


class PluginBroken(StagerError):
    """A plugin raised, has a hook that nobody calls, or claims what another one owns."""

    exit_code = 70
    slug = "plugin-broken"
    fault: Fault = "platform"


class Interrupted(StagerError):
    """SIGINT or SIGTERM ended the build."""

    exit_code = 130
    slug = "interrupted"
    fault: Fault = "usage"
    retry = True
