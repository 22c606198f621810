"""Requests a second of generated configurations within 512 MB, against the servers' own defaults.

The same application, on the same cores, in turn; wrk asks. mod_wsgi-express is compiled first: half a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bench.pack import STAGER
from bench.servers import started
from stager.launch.ports import free_port

BOUND = 1.0
MEMORY = "512M"
CONNECTIONS = 16
#: A page as frameworks make them: routing, a template of some size, a little arithmetic.
APPLICATION = """
from flask import Flask, render_template_string

app = Flask(__name__)
PAGE = "<ul>{% for number in numbers %}<li>{{ number * number }}</li>{% endfor %}</ul>"


@app.route("/")
def index():
    return render_template_string(PAGE, numbers=range(50))


application = app
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stager-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        application = folder / "app"
        application.mkdir()
        (application / "app.py").write_text(APPLICATION)
        (application / "requirements.txt").write_text("flask\ngunicorn\n")
        bare = bare_environment(folder)
        kept = []
        for server, command in (
            ("gunicorn", [f"{bare}/bin/gunicorn", "-b", "127.0.0.1:{port}", "app:application"]),
            (
                "mod_wsgi",
                [
                    f"{bare}/bin/mod_wsgi-express", "start-server", "--application-type", "module",
                    "--host", "127.0.0.1", "--port", "{port}", "--server-root", f"{folder}/express",
                    "--locale", "C.UTF-8", "--user", "www-data", "--group", "www-data", "app",
                ],
            ),
        ):  # fmt: skip
            droplet = unpacked(folder, application, server)
            kept.append(compare(server, droplet, command, application, choices.runs, choices.seconds))
        return 0 if all(kept) else 1


def bare_environment(folder: Path) -> Path:
    place = folder / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", place], check=True)
    subprocess.run(
        [place / "bin/pip", "install", "-q", "flask", "gunicorn", "mod_wsgi"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return place


def unpacked(folder: Path, application: Path, server: str) -> Path:
    droplet, place = folder / f"{server}.tar.gz", folder / server
    subprocess.run(
        [*STAGER, "build", application, "--set", f"python_wsgi.server={server}", "-o", droplet, "-q"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    place.mkdir()
    subprocess.run(["tar", "-xf", droplet, "-C", place], check=True)
    return place


def compare(
    server: str, droplet: Path, command: Sequence[str], application: Path, runs: int, seconds: int
) -> bool:
    def ours() -> float:
        port = free_port()
        environment = {**os.environ, "VCAP_APP_HOST": "127.0.0.1", "MEMORY_LIMIT": MEMORY}
        with started([f"{droplet}/startup", "-p", str(port)], environment, droplet):
            try:
                wait_for(port)
                return requests_a_second(port, seconds)
            finally:
                subprocess.run([f"{droplet}/stop"], check=True)

    def theirs() -> float:
        port = free_port()
        shutil.rmtree(f"{application.parent}/express", ignore_errors=True)
        words = [word.replace("{port}", str(port)) for word in command]
        with started(words, os.environ, application):
            wait_for(port)
            return requests_a_second(port, seconds)

    taken = [(ours(), theirs()) for _ in range(runs)]
    ratios = sorted(one / other for one, other in taken)
    ratio = statistics.median(ratios)
    print(
        f"{server}: {statistics.median(one for one, _ in taken):,.0f} requests a second, its defaults "
        f"{statistics.median(other for _, other in taken):,.0f}, ratio {ratio:.2f} "
        f"({ratios[0]:.2f}-{ratios[-1]:.2f}), bound {BOUND:.2f}  {'ok' if ratio >= BOUND else 'BELOW'}",
        flush=True,
    )
    return ratio >= BOUND


def wait_for(port: int) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        with contextlib.suppress(OSError), direct.open(f"http://127.0.0.1:{port}/", timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError("no answer within 30 seconds")


def requests_a_second(port: int, seconds: int) -> float:
    asked = subprocess.run(
        ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", asked)
    if found is None or "Non-2xx" in asked:
        raise RuntimeError(asked)
    return float(found[1])


if __name__ == "__main__":
    sys.exit(main())
