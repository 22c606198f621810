"""Cold installation and packing of applications in Node, against npm ci, tar and zstd on the same ones."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench.pack import HEADER, STAGER
from bench.timing import Run, once, pairs

INSTALLED, PACKED = 1.15, 1.6
MANIFEST = {
    "name": "benchmark",
    "private": True,
    "scripts": {"start": "node server.js"},
    "dependencies": {"express": "^5.1.0", "ejs": "^3.1.10", "lodash": "^4.17.21", "mocha": "^11.1.0"},
}
SERVER = "require('express')().get('/', (_, answer) => answer.send('hello')).listen(process.env.PORT);\n"
#: Of npm: nothing of the caller's, and nothing that only people look at.
QUIET = "--no-audit --no-fund --no-update-notifier --userconfig /dev/null"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    choices = parser.parse_args()
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="stager-bench-") as folder:
        root = Path(folder)
        kept = [
            install(root / "plain", "npm ci", MANIFEST, choices.runs),
            install(root / "built", "npm ci with a build", _with_build(), choices.runs),
            pack(root / "many", choices.runs),
        ]
    return 0 if all(kept) else 1


def _with_build() -> dict[str, object]:
    """The same with mocha for development, and a script that builds."""
    dependencies = dict(MANIFEST["dependencies"])  # type: ignore[call-overload]
    development = {"mocha": dependencies.pop("mocha")}
    scripts = {"start": "node server.js", "build": "node -e 0"}
    return {**MANIFEST, "scripts": scripts, "dependencies": dependencies, "devDependencies": development}


def install(folder: Path, name: str, manifest: dict[str, object], runs: int) -> bool:
    """Nothing is in any cache, for either side."""
    application = folder / "app"
    application.mkdir(parents=True)
    (application / "package.json").write_text(json.dumps(manifest))
    (application / "server.js").write_text(SERVER)
    once(f"npm install --package-lock-only --silent {QUIET}", cwd=os.fspath(application))
    copy, cache = folder / "copy", folder / "cache"
    build = " && npm run build" if "devDependencies" in manifest else ""

    def stager() -> Run:
        arguments = ("build", str(application), "--runtime", "node", "--no-cache", "-q")
        return once([*STAGER, *arguments, "-o", str(folder / "droplet.tar.zst")])

    def tools() -> Run:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.rmtree(cache, ignore_errors=True)
        return once(
            f"cp -a {application} {copy} && cd {copy} && npm ci --cache {cache} {QUIET}{build} && "
            f"tar -cf - -C {copy} . | zstd -q -3 -T0 -f -o {folder}/bare.tar.zst"
        )

    pair = pairs(stager, tools, runs)
    print(pair.line(f"{name}: build / npm ci + tar | zstd -3 -T0", INSTALLED), flush=True)
    return statistics.median(pair.ratios) <= INSTALLED


def pack(folder: Path, runs: int) -> bool:
    """30,000 files of node_modules, as pnpm lays them out: every package linked to from those that use it."""
    application = modules(folder / "app")
    ours, bare = folder / "droplet.tar.zst", folder / "bare.tar.zst"

    def stager() -> Run:
        return once([*STAGER, "build", str(application), "--runtime", "procfile", "-q", "-o", str(ours)])

    def tools() -> Run:
        return once(f"tar -cf - -C {application} . | zstd -q -3 -T0 -f -o {bare}")

    pair = pairs(stager, tools, runs)
    print(pair.line("30,000 files of node_modules / tar | zstd -3 -T0", PACKED), flush=True)
    return statistics.median(pair.ratios) <= PACKED


def modules(root: Path) -> Path:
    """Make 1,000 packages of 30 files, 160 MB, and 4,000 links."""
    dice = random.Random(30_000)  # the same tree every time
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 12))) for _ in range(400)]
    text = "\n".join(
        f"exports.{one} = ({two}) => {{ return {two}.{three}({dice.randint(0, 9999)}); }};"
        for one, two, three in (dice.choices(words, k=3) for _ in range(100_000))
    ).encode()
    store = root / "node_modules/.pnpm"
    names = [f"{dice.choice(words)}-{number}" for number in range(1000)]
    for name in names:
        package = store / f"{name}@1.0.0/node_modules/{name}"
        (package / "lib").mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
        for number in range(29):
            size = min(120_000, int(2000 * dice.paretovariate(1.2)))
            start = dice.randrange(len(text) - size)
            (package / "lib" / f"{dice.choice(words)}{number}.js").write_bytes(text[start : start + size])
        for other in dice.sample(names, 4):
            link = package.parent / other
            if other != name:
                link.symlink_to(f"../../{other}@1.0.0/node_modules/{other}")
    (root / "Procfile").write_text("web: node server.js\n")
    (root / "server.js").write_text(SERVER)
    return root


if __name__ == "__main__":
    sys.exit(main())
