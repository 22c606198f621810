"""Package managers: which one installs, in which version, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.packages.lock_gaps import find_gaps, gap_warning
from stager.plugins.node.packages.locks import Lock, find_lock
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import printable
from stager.plugins.node.reading.yaml_text import read_yaml

Tool = Literal["npm", "yarn", "pnpm", "bun"]

#: What is taken where the application names no version: pinned, because another one tomorrow would lay out
#: node_modules otherwise. By the format of the lock: each reads it without wanting to rewrite it.
YARN_1 = "1.22.22"
BUN = "1.4.5"
PNPM_OF_FORMAT: Mapping[str, str] = {"5": "7.33.7", "6": "8.15.9", "9": "9.15.9"}
#: For an application whose settings are in pnpm-workspace.yaml, which pnpm 9 does not read there.
PNPM_10 = "10.34.9"
#: (the highest format, the version): with --immutable, yarn 4.18 refuses a lock of format 8, and yarn 4.9
#: one of format 10 (measured).
YARN_OF_FORMAT = ((5, "2.4.2"), (7, "3.8.7"), (8, "4.9.4"), (99, "4.18.1"))
_PATH = re.compile(r"(?m)^yarnPath:\s*[\"']?([^\"'\s#]+)")
_NAMED = re.compile(r"(npm|yarn|pnpm|bun)@(\d+\.\d+\.\d+(?:-[\w.]+)?)(?:\+(sha\d+)\.([0-9a-fA-F]+))?")
_LOOSE = re.compile(r"(npm|yarn|pnpm|bun)(?:@(.*))?")
#: The parts of pnpm-workspace.yaml that pnpm 9 knows.
_OF_PNPM_9 = frozenset({"packages", "catalog", "catalogs"})


@dataclass(frozen=True, slots=True)
class PackageManager:
    """What installs the application's packages.

    Parameters
    ----------
    tool:
        Whose commands and locks.
    version:
        Exact; empty for the npm that is on the host.
    lock:
        What is installed from.
    why:
        For people.
    release:
        yarn's own program, where the application brings it: ``.yarn/releases/yarn-4.9.4.cjs``.
    algorithm, digest:
        Of the package that is to be taken, as ``packageManager`` gives them; empty for none.
    has_gaps:
        Whether packages of packages are missing in the lock.
    warnings:
        What the user should know, and that ends nothing.
    """

    tool: Tool
    version: str
    lock: Lock
    why: str
    release: str = ""
    algorithm: str = ""
    digest: str = ""
    has_gaps: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def major(self) -> int:
        """The first number of the version; 0 where it is the host's."""
        return int(self.version.partition(".")[0]) if self.version else 0

    @property
    def is_berry(self) -> bool:
        """Whether it is yarn 2 or later."""
        return self.tool == "yarn" and self.major > 1

    @property
    def distribution(self) -> str:
        """What npm installs to have it; empty where nothing is to be installed."""
        if not self.version or self.release:
            return ""
        return f"{'@yarnpkg/cli-dist' if self.is_berry else self.tool}@{self.version}"

    @property
    def shown(self) -> str:
        """Its name and version, for people."""
        return f"{self.tool} {self.version}".strip()


def choose_package_manager(source: SourceTree, package: Package) -> PackageManager:
    """Return what installs the packages.

    Raises
    ------
    ConflictingLockFiles
        Two locks, one of another manager than ``packageManager`` names, or of another version.
    ConfigurationError
        ``packageManager`` cannot be read.
    """
    tool, version, algorithm, digest, warnings = _named(package)
    lock = find_lock(source, tool)
    if lock.unused:
        warnings.append(f"{lock.unused} is not used: {lock.tool} reads {lock.path}. git rm {lock.unused}")
    why = "packageManager in package.json" if tool else lock.path
    tool = tool or lock.tool or _without_lock(source, package)
    if tool == "yarn":
        return _yarn(source, version, lock, (why, algorithm, digest, warnings))
    if tool == "pnpm":
        _refuse_old_pnpm(version, lock)
        version = version or _pnpm_version(source, lock, warnings)
    elif tool == "bun":
        version = version or BUN
    gaps = find_gaps(source, lock)
    if gaps:
        warnings.append(gap_warning(gaps, lock.path))
    return PackageManager(
        tool,  # type: ignore[arg-type]
        version,
        lock,
        why or "there is no lock file" + (", and a pnpm-workspace.yaml" if tool == "pnpm" else ""),
        algorithm=algorithm,
        digest=digest,
        has_gaps=bool(gaps),
        warnings=tuple(warnings),
    )


def _named(package: Package) -> tuple[str, str, str, str, list[str]]:
    """What ``packageManager`` says: tool, version, algorithm and digest; and what is odd about it."""
    text = package.package_manager
    if not text:
        return "", "", "", "", []
    exact = _NAMED.fullmatch(text)
    if exact:
        return exact[1], exact[2], exact[3] or "", (exact[4] or "").lower(), []
    loose = _LOOSE.fullmatch(text)
    if not loose:
        raise ConfigurationError(
            f"packageManager in package.json names no known package manager: {printable(text)}",
            details="Known are npm, yarn, pnpm and bun.",
            resolution='Write it as corepack does: "packageManager": "pnpm@9.15.9"; or leave it out.',
        )
    note = (
        f"packageManager in package.json says {printable(text)}, which is no exact version; corepack refuses "
        f"it. Write {loose[1]}@ and three numbers."
    )
    return loose[1], "", "", "", [note]


def _without_lock(source: SourceTree, package: Package) -> str:
    if source.is_file("pnpm-workspace.yaml"):
        return "pnpm"
    if source.is_file(".yarnrc.yml"):
        return "yarn"
    engines = [tool for tool in ("pnpm", "yarn", "bun") if tool in package.engines]
    return engines[0] if len(engines) == 1 and "npm" not in package.engines else "npm"


def _yarn(
    source: SourceTree,
    version: str,
    lock: Lock,
    named: tuple[str, str, str, list[str]],
) -> PackageManager:
    why, algorithm, digest, warnings = named
    settings = source.read_text(".yarnrc.yml") if source.is_file(".yarnrc.yml") else ""
    found = _PATH.search(settings)
    release = found[1].removeprefix("./") if found else ""
    if release and not source.is_file(release):
        raise ConfigurationError(
            f".yarnrc.yml says yarnPath: {printable(release)}, and there is no such file.",
            details="It is the yarn that the application brings along.",
            resolution="Add it to the application (is it in .gitignore or .slugignore?), or remove the line.",
        )
    if release:
        number = re.search(r"(\d+\.\d+\.\d+(?:-[\w.]+)?)", release)
        version = number[1] if number else version or "4.0.0"
        why = "yarnPath in .yarnrc.yml"
    if not version:
        is_berry = lock.is_berry or (not lock.path and source.is_file(".yarnrc.yml"))
        number_ = int(lock.format) if lock.is_berry else 99
        version = next(it for most, it in YARN_OF_FORMAT if number_ <= most) if is_berry else YARN_1
    manager = PackageManager(
        "yarn",
        version,
        lock,
        why or ".yarnrc.yml",
        release,
        algorithm,
        digest,
        warnings=tuple(warnings),
    )
    if lock.path and manager.is_berry != lock.is_berry:
        wrote = "yarn 2 or later" if lock.is_berry else "yarn 1"
        raise ConflictingLockFiles(
            f"{why} says yarn {version}, and yarn.lock is of {wrote}.",
            details="The two do not read each other's locks.",
            resolution=f"Make the lock anew with yarn {version}, and add it: yarn install; or correct {why}.",
        )
    return manager


def _refuse_old_pnpm(version: str, lock: Lock) -> None:
    """A pnpm that would pass over the lock: each major of it reads what the one before wrote, at most."""
    if not version or not lock.path:
        return
    major, format_ = int(version.partition(".")[0]), lock.format.partition(".")[0]
    readers = {"5": (1, 7), "6": (7, 9), "9": (9, 99)}.get(format_)
    if readers is None or readers[0] <= major <= readers[1]:
        return
    pinned = PNPM_OF_FORMAT[format_]
    raise ConflictingLockFiles(
        f"package.json says packageManager pnpm@{version}, and pnpm-lock.yaml is of pnpm {pinned[0]}.",
        details=f"pnpm-lock.yaml line 1: lockfileVersion {lock.format}, which pnpm {major} does not read.",
        resolution=f"Make the lock anew with pnpm {major}, and add it: pnpm install --lockfile-only\n"
        f"or name the one that wrote it: npm pkg set packageManager=pnpm@{pinned}",
    )


def _pnpm_version(source: SourceTree, lock: Lock, warnings: list[str]) -> str:
    format_ = lock.format.partition(".")[0]
    if lock.path and format_ not in PNPM_OF_FORMAT:
        raise ConfigurationError(
            f"pnpm-lock.yaml has the format {lock.format or '(none)'}, which is not known.",
            details="Known are 5.x (pnpm 7), 6.x (pnpm 8) and 9.x (pnpm 9 and later).",
            resolution="Say which pnpm wrote it: npm pkg set packageManager=pnpm@9.15.9",
        )
    pinned = PNPM_OF_FORMAT.get(format_, PNPM_10)
    if pinned[0] == "9" and source.is_file("pnpm-workspace.yaml"):
        document = read_yaml(source, "pnpm-workspace.yaml")
        if "packages" not in document or not _OF_PNPM_9.issuperset(document):
            pinned = PNPM_10
    warnings.append(
        f"package.json does not say which pnpm: {pinned} is taken. npm pkg set packageManager=pnpm@{pinned}"
    )
    return pinned
