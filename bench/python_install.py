"""Cold installation and packing of applications in Python, against venv, pip and tar on the same lists."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench.pack import HEADER, STAGER
from bench.timing import Run, once, pairs

BOUND = 0.5
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from the benchmark"]
"""
SETS = {
    "Flask": "flask\ngunicorn\n",
    "Django": "django\ngunicorn\npsycopg2-binary\nrequests\npillow\n",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    choices = parser.parse_args()
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="stager-bench-") as folder:
        kept = [compare(Path(folder) / name, name, choices.runs) for name in SETS]
    return 0 if all(kept) else 1


def compare(folder: Path, name: str, runs: int) -> bool:
    """Nothing is in any cache, for either side."""
    application = folder / "app"
    application.mkdir(parents=True)
    (application / "wsgi.py").write_text(APPLICATION)
    (application / "requirements.txt").write_text(SETS[name])
    environment, droplet, bare = folder / "venv", folder / "droplet.tar.gz", folder / "bare.tar.gz"

    def stager() -> Run:
        arguments = ("build", str(application), "--runtime", "python_wsgi", "--no-cache", "-q")
        return once([*STAGER, *arguments, "-o", str(droplet)])

    def tools() -> Run:
        shutil.rmtree(environment, ignore_errors=True)
        return once(
            f"/usr/bin/python3 -m venv {environment} && "
            f"{environment}/bin/pip install -q --no-cache-dir -r {application}/requirements.txt && "
            f"tar -czf {bare} -C {folder} app venv"
        )

    pair = pairs(stager, tools, runs)
    print(pair.line(f"{name}: build / venv + pip install + tar -czf", BOUND), flush=True)
    return statistics.median(pair.ratios) <= BOUND


if __name__ == "__main__":
    sys.exit(main())
