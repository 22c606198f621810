"""stager build, digests and static verification included, against bare tools on the same tree."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.timing import Pair, Run, once, pairs
from bench.trees import make_tree

MB = 1_000_000
HEADER = f"{'':<44} {'stager':>8} {'bare':>8}   {'ratio (range)':<19} bound"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the trees are made (default: a temporary one)")
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=choices.directory, prefix="stager-bench-") as folder:
        return report(Path(folder), choices.runs)


def report(folder: Path, runs: int) -> int:
    """Print the table; returns 1 where a bound is not kept."""
    large = make_tree(folder / "large", 20_000, 200 * MB)
    small = make_tree(folder / "small", 5_000, 25 * MB)
    print(HEADER)
    kept = [
        *gzip(folder, large, "20,000 files/200 MB", 0.25, runs, size_bound=1.3),
        zstd(folder, large, "20,000 files/200 MB", 1.5, runs),
        *gzip(folder, small, "5,000 files/25 MB", 0.8, runs),
        memory(folder, small),
        start_up(runs),
    ]
    return 0 if all(kept) else 1


def gzip(
    folder: Path, tree: Path, name: str, bound: float, runs: int, size_bound: float | None = None
) -> list[bool]:
    ours, bare = folder / "droplet.tar.gz", folder / "bare.tar.gz"
    copy = folder / "copy"

    def tools() -> Run:
        shutil.rmtree(copy, ignore_errors=True)
        return once(f"cp -a {tree} {copy} && tar -czf {bare} -C {copy} .")

    pair = pairs(lambda: build(tree, ours), tools, runs)
    kept = [_row(pair, f"{name}: .tar.gz / cp -a + tar -czf", bound)]
    if size_bound is not None:
        ratio = ours.stat().st_size / bare.stat().st_size
        print(
            f"{f'{name}: size of .tar.gz / tar -czf':<44} {'':>18}   {ratio:5.2f} {'':<15} {size_bound:4.2f}"
        )
        kept.append(ratio <= size_bound)
    shutil.rmtree(copy, ignore_errors=True)
    return kept


def zstd(folder: Path, tree: Path, name: str, bound: float, runs: int) -> bool:
    ours, bare = folder / "droplet.tar.zst", folder / "bare.tar.zst"

    def tools() -> Run:
        return once(f"tar -cf - -C {tree} . | zstd -q -3 -T0 -f -o {bare}")

    return _row(pairs(lambda: build(tree, ours), tools, runs), f"{name}: .tar.zst / tar | zstd -3 -T0", bound)


def memory(folder: Path, small: Path) -> bool:
    """The peak of the largest process, for 5,000 and for 50,000 files."""
    many = make_tree(folder / "many", 50_000, 250 * MB)
    few, lots = (
        max(build(tree, folder / "memory.tar.gz").peak_mb for _ in range(3)) for tree in (small, many)
    )
    print(f"peak memory: {few:.0f} MB for 5,000 files, {lots:.0f} MB for 50,000 (bound 120)")
    return lots < 120


def start_up(runs: int) -> bool:
    """``stager --version`` on top of a bare interpreter, in milliseconds (bound 120)."""

    def times(argv: Sequence[str]) -> Callable[[], Run]:
        return lambda: once(argv)

    pair = pairs(times([*STAGER, "--version"]), times([sys.executable, "-c", "pass"]), max(runs, 9))
    extra = 1000 * statistics.median(
        one.seconds - other.seconds for one, other in zip(pair.a, pair.b, strict=True)
    )
    print(f"stager --version: {extra:.0f} ms on top of a bare interpreter (bound 120)")
    return extra <= 120


STAGER = [sys.executable, "-m", "stager"]


def build(tree: Path, droplet: Path) -> Run:
    return once([*STAGER, "build", os.fspath(tree), "--runtime", "php", "-o", os.fspath(droplet), "-q"])


def _row(pair: Pair, name: str, bound: float) -> bool:
    print(pair.line(name, bound), flush=True)
    return statistics.median(pair.ratios) <= bound


if __name__ == "__main__":
    sys.exit(main())
