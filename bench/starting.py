"""Time from ``./startup`` to the first answer, and of ``./stop``, against the same server started directly.

What ``startup`` becomes in the end (its words, its environment, a copy of its private directory) is recorded
once and then started directly, in turn with ``startup``. Python alone is started differently: by the host's
interpreter with the installed packages on its path, without the virtual environment that ``startup`` makes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.pack import STAGER
from bench.servers import started
from stager.launch.ports import free_port

STARTED = 1.15
EXAMPLES = ("php", "python", "node")
POLL, PATIENCE = 0.0005, 60.0


@dataclass(frozen=True, slots=True)
class Life:
    """Seconds from the start to the first answer, from the wish to stop to the end, and of CPU in all."""

    started: float
    stopped: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started and stopped; ``{port}`` in a word or a value is the port."""

    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    stop: Sequence[str] | signal.Signals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--examples", default=",".join(EXAMPLES), help="some of them, with commas between")
    choices = parser.parse_args()
    print(f"{'':<34} {'droplet':>8} {'bare':>10}      ratio (range)      bound")
    with tempfile.TemporaryDirectory(prefix="stager-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        kept = [compare(example, folder, choices.runs) for example in choices.examples.split(",")]
    return 0 if all(kept) else 1


def compare(example: str, folder: Path, runs: int) -> bool:
    droplet = unpacked(example, folder)
    environment = {**os.environ, "VCAP_APP_HOST": "127.0.0.1"}
    ours = Server([f"{droplet}/startup", "-p", "{port}"], environment, folder, [f"{droplet}/stop"])
    bare = recorded(ours, droplet, folder / f"{example}-private")
    for server in (ours, bare):
        live(server)
    taken = [(live(ours), live(bare)) for _ in range(runs)]
    started = [(one.started, other.started) for one, other in taken]
    stopped = [(one.stopped, other.stopped) for one, other in taken]
    kept = line(f"{example}: start to first answer", started, STARTED)
    line(f"{example}: stop", stopped, None)
    line(f"{example}: CPU time of it all", [(one.cpu, other.cpu) for one, other in taken], None)
    if example == "php":
        pairs = [(live(ours, unstarted=droplet).started, live(bare).started) for _ in range(runs)]
        line("php: first start of a droplet", pairs, None)
        debian = as_debian_starts_it(droplet, folder / "debian")
        live(debian)
        pairs = [(live(ours).started, live(debian).started) for _ in range(runs)]
        line("php: start, against apache2ctl", pairs, None)
    return kept


def line(name: str, taken: Sequence[tuple[float, float]], bound: float | None) -> bool:
    """Print a row: medians, the ratio's median with its range, and the bound, if it is held against one."""
    ratios = sorted(one / other for one, other in taken)
    ratio = statistics.median(ratios)
    kept = bound is None or ratio <= bound
    ours, bare = (1000 * statistics.median(side) for side in zip(*taken, strict=True))
    verdict = "" if bound is None else f"   {bound:4.2f}  {'ok' if kept else 'ABOVE'}"
    print(
        f"{name:<34} {ours:5.1f} ms {bare:7.1f} ms   {ratio:5.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}){verdict}"
    )
    sys.stdout.flush()
    return kept


def unpacked(example: str, folder: Path) -> Path:
    source, archive, droplet = Path("examples", example), folder / f"{example}.tar.gz", folder / example
    subprocess.run([*STAGER, "build", source, "-q", "-o", archive], check=True, stdout=subprocess.DEVNULL)
    droplet.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", droplet], check=True)
    return droplet


def recorded(ours: Server, droplet: Path, private: Path) -> Server:
    """The server that ``startup`` becomes."""
    process = yaml.safe_load((droplet / "droplet.yaml").read_text())["processes"]["web"]
    port = free_port()
    with running(ours, port) as child:
        first_answer(port, child)
        proc = Path(f"/proc/{child.pid}")
        command = proc.joinpath("cmdline").read_bytes().decode().split("\0")[:-1]
        lines = proc.joinpath("environ").read_bytes().decode().split("\0")[:-1]
        environment = dict(one.split("=", 1) for one in lines)
        sockets = environment["STAGER_SOCKETS"]
        shutil.copytree(sockets, private, symlinks=True, ignore=lambda *_: {"httpd.pid"})
        shutil.chown(private, environment["STAGER_SERVER_USER"])
        subprocess.run(ours.stop, check=True)
    environment = {name: value.replace(sockets, str(private)) for name, value in environment.items()}
    environment |= {"PORT": "{port}", "VCAP_APP_PORT": "{port}"}
    if "STAGER_PYTHON" in environment:
        command[0] = environment["STAGER_PYTHON"]
        environment["PYTHONPATH"] = str(next(droplet.glob("deps/python/lib/*/site-packages")))
        del environment["VIRTUAL_ENV"]
    command = [word.replace(sockets, str(private)) for word in command]
    return Server(command, environment, droplet / "app", signal.Signals[f"SIG{process['stop_signal']}"])


def as_debian_starts_it(droplet: Path, folder: Path) -> Server:
    """``apache2ctl``, with Apache and mod_php as their packages configure them but for port and pages."""
    shutil.copytree("/etc/apache2", folder, symlinks=True)
    for module in folder.glob("mods-enabled/wsgi.*"):
        module.unlink()  # another package's
    (folder / "ports.conf").write_text("Listen 127.0.0.1:${PORT}\n")
    (folder / "sites-enabled/000-default.conf").write_text(
        f"ServerName localhost\nDocumentRoot {droplet}/app\n"
        f"<Directory {droplet}/app>\n    Require all granted\n</Directory>\n"
    )
    places = {"RUN_DIR": "run", "LOCK_DIR": "run", "LOG_DIR": "log", "PID_FILE": "run/pid"}
    for name in ("run", "log"):
        (folder / name).mkdir()
    lines = [f"export APACHE_{name}={folder}/{place}" for name, place in places.items()]
    lines += ["export APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data", ""]
    (folder / "envvars").write_text("\n".join(lines))
    control, where = "/usr/sbin/apache2ctl", {"APACHE_CONFDIR": str(folder), "PORT": "{port}"}
    stop = ["/usr/bin/env", f"APACHE_CONFDIR={folder}", "PORT=1", control, "stop"]
    return Server([control, "-DFOREGROUND"], {**os.environ, **where}, folder, stop)


def live(server: Server, unstarted: Path | None = None) -> Life:
    """One life of a server, from its start to its end; before it, ``unstarted`` is as it was unpacked."""
    if unstarted is not None:
        (unstarted / "logs/env.log").unlink()
        for name in ("logs", "tmp", "run"):
            os.chown(unstarted / name, os.geteuid(), os.getegid())
    port = free_port()
    begun = time.monotonic()
    with running(server, port) as child:
        first_answer(port, child)
        started = time.monotonic() - begun
        time.sleep(0.2)  # the rest of its workers start, too
        begun = time.monotonic()
        # An end is seen by the one that is told of it; both are waited for.
        if isinstance(server.stop, signal.Signals):
            child.send_signal(server.stop)
            _, _, usage = os.wait4(child.pid, 0)
        else:
            stopper = subprocess.Popen(server.stop, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, _, usage = os.wait4(child.pid, 0)
            if stopper.wait():
                raise RuntimeError(f"{server.stop} failed")
        stopped = time.monotonic() - begun
        child.returncode = 0
    return Life(started, stopped, usage.ru_utime + usage.ru_stime)


def running(server: Server, port: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    environment = {name: value.replace("{port}", str(port)) for name, value in server.environment.items()}
    return started([word.replace("{port}", str(port)) for word in server.command], environment, server.cwd)


def first_answer(port: int, child: subprocess.Popen[bytes]) -> None:
    """Ask until there is an answer, and whether it is a good one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as asked:
            asked.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = asked.recv(1024)
            if answer:
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(f"{child.args!r} answers {answer!r}")
                return
        time.sleep(POLL)
    raise RuntimeError(f"{child.args!r} does not answer")


if __name__ == "__main__":
    sys.exit(main())
