"""How fast packing alone is, beside bare tools on the same tree: the floor under ``stager build``.

    python -m bench.pack_floor [--files 20000] [--megabytes 200] [--rounds 5] [--directory /dev/shm]

The ways to pack take turns, because a machine that is shared is now quick and now slow; the least time of
each is what counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.trees import make_tree
from stager.archive.compression import Compression
from stager.archive.droplet_file import DropletFile
from stager.archive.needles import Needle
from stager.archive.writer import DropletWriter
from stager.model.entry import Entry, Kind

NEEDLES = (Needle("build path", b"/home/someone/application/work"), Needle("TOKEN", b"a-secret-of-20-bytes"))


def entries(directory: str, path: str) -> Iterator[Entry]:
    """The tree as entries, sorted."""
    with os.scandir(directory) as scanned:
        found = sorted(scanned, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield Entry(path + entry.name, Kind.DIRECTORY, 0o755, "")
            yield from entries(entry.path, f"{path}{entry.name}/")
        else:
            size = entry.stat(follow_symlinks=False).st_size
            yield Entry(path + entry.name, Kind.FILE, 0o644, entry.path, size)


def pack(tree: Path, output: Path, compression: Compression) -> None:
    """What this is about."""
    with (
        open(output, "wb", buffering=0) as file,
        DropletWriter(DropletFile(file, compression, 0), needles=NEEDLES) as writer,
    ):
        writer.add_layer("app", entries(str(tree), "app/"))
        writer.add_manifest(b"schema: 1\n")
        writer.finish()


def copy_and_tar(tree: Path, output: Path) -> None:
    copy = output.with_name("copy")
    subprocess.run(["cp", "-a", tree, copy], check=True)
    subprocess.run(["tar", "-czf", output, "-C", copy, "."], check=True)


def tar_zstd(tree: Path, output: Path) -> None:
    command = 'tar -cf - -C "$1" . | zstd -q -3 -T0 -f -o "$2"'
    subprocess.run(["sh", "-c", command, "sh", tree, output], check=True)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "cp -a, tar -czf": copy_and_tar,
    "pack .tar.gz": lambda tree, output: pack(tree, output, Compression.GZIP),
    "tar | zstd -3 -T0": tar_zstd,
    "pack .tar.zst": lambda tree, output: pack(tree, output, Compression.ZSTD),
}


def measure(directory: Path, rounds: int) -> None:
    """Time all ways in turn, and print them."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    sizes = {}
    for _ in range(rounds):
        for way, run in WAYS.items():
            output = directory / "output"
            start = time.perf_counter()
            run(directory / "tree", output)
            times[way].append(time.perf_counter() - start)
            sizes[way] = output.stat().st_size
            output.unlink()
            shutil.rmtree(directory / "copy", ignore_errors=True)
    for way, taken in times.items():
        print(f"{way:20} {min(taken):7.3f} s (most {max(taken):.3f})  {sizes[way] / 1e6:8.2f} MB")
    for ours, theirs in (("pack .tar.gz", "cp -a, tar -czf"), ("pack .tar.zst", "tar | zstd -3 -T0")):
        time_ratio, size_ratio = min(times[ours]) / min(times[theirs]), sizes[ours] / sizes[theirs]
        print(f"{ours} : {theirs} = {time_ratio:.3f} of the time, {size_ratio:.3f} of the size")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", default=None, help="where to work; the system's temporary directory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pack-floor-", dir=arguments.directory) as directory:
        # Made in a process of its own, whose memory is not counted.
        if (child := os.fork()) == 0:
            make_tree(Path(directory) / "tree", arguments.files, arguments.megabytes * 10**6)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit("the tree could not be made")
        measure(Path(directory), arguments.rounds)


if __name__ == "__main__":
    main()
