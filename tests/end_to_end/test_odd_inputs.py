"""Inputs that must end well: staged to the byte, or refused with their names and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

STAGER = Path(sys.executable).with_name("stager")
INDEX = "<?php echo 'hello';"
#: As bytes: not all of them are text.
NAMES = [
    b"with space", b" leading space", b"trailing space ", b"it's", b'say "hi"', b"back\\slash",
    b"new\nline", b"tab\there",
    b"-rf", b"--checkpoint-action=exec=sh x", b"@list", b"$(id)", b"`id`", b"${HOME}",
    b"a;b&c|d", b"#hash", b"!bang",
    b"*glob?[a]", b"~", b"...", b"caf\xc3\xa9", b"latin-1 caf\xe9", b"\xff\xfe",
    b"carriage\rreturn", b"bell\a", b"%s%n",
    "e\u0301 decomposed".encode(), "\u202egnp.exe".encode(), "\U0001f600".encode(),
    b"COM1", b"x" * 255, b"\xc3\xa9" * 127,
]  # fmt: skip


def everything_in(root):
    """Every path below a directory, as bytes, with what it is."""
    root = os.fsencode(root)
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            key = os.path.relpath(path, root)
            if stat.S_ISLNK(status.st_mode):
                found[key] = os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                found[key] = "directory"
            else:
                with open(path, "rb") as file:
                    found[key] = (stat.S_IMODE(status.st_mode), file.read())
    return found


def refused(stager_cli, tmp_path, source, code, *arguments, named=""):
    """Build what must be refused: with this code, naming that, and leaving nothing."""
    before = sorted(os.listdir(tmp_path))
    done = stager_cli("build", source, "-o", tmp_path / "out.tar.gz", "--json", *arguments)
    assert done.returncode == code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert named in error["brief"] + error["details"], error
    assert error["resolution"]
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(os.environ["TMPDIR"]) == []
    return error


@pytest.fixture
def odd(tree):
    """An application with every odd name, as a file, and as a directory with a file in it."""
    source = tree({"index.php": INDEX, "page.php": "<?php echo strlen(file_get_contents($_GET['name']));"})
    for name in NAMES:
        path = os.path.join(os.fsencode(source), name)
        with open(path, "wb") as file:
            file.write(name)
        os.chmod(path, 0o644)
        folder = os.path.join(os.fsencode(source), b"folders", name)
        os.makedirs(folder)
        with open(os.path.join(folder, b"inside " + name[:100]), "wb") as file:
            file.write(name[::-1])
    for folder, folders, files in os.walk(source):
        for name in folders + files:
            path = os.path.join(folder, name)
            os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
    return source


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst", "dir"])
def test_odd_names_arrive_as_the_same_bytes(built, odd, unpack, tmp_path, suffix):
    droplet = tmp_path / f"a.{suffix}"
    report = built(odd, "--format", suffix, name=droplet.name)
    assert report["status"] == "succeeded"
    directory = droplet if suffix == "dir" else unpack(droplet)
    assert everything_in(directory / "app") == everything_in(odd)
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "droplet.sha256"],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    done = subprocess.run([STAGER, "verify", droplet], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_an_application_with_odd_names_boots_and_reads_them(built, odd, unpack, start, tmp_path):
    report = built(odd, "--verify", "boot")
    assert report["verification"]["boot"]["status"] == "served"
    site = start(unpack(tmp_path / "droplet.tar.gz"))
    assert site.get("/page.php?name=latin-1%20caf%E9").text == "12"
    assert site.get("/page.php?name=new%0Aline").text == "8"


def test_odd_names_in_archives_give_the_same_droplet(built, odd, tmp_path):
    expected = built(odd)["droplet"]["sha256"]
    subprocess.run(["tar", "-cf", tmp_path / "app.tar", "-C", odd, "."], check=True)
    assert built(tmp_path / "app.tar", name="x.tar.gz")["droplet"]["sha256"] == expected
    subprocess.run(["tar", "--format=pax", "-czf", tmp_path / "pax.tgz", "-C", odd, "."], check=True)
    assert built(tmp_path / "pax.tgz", name="x.tar.gz")["droplet"]["sha256"] == expected


def test_steps_do_not_change_odd_names(built, odd, tmp_path):
    expected = everything_in(odd)
    report = built(odd, "--set", "hooks.before_build=true", "--format", "dir", name="there")
    assert [phase["name"] for phase in report["phases"]][-1] == "verify"
    assert everything_in(tmp_path / "there/app") == expected


def test_an_application_directory_with_odd_characters(stager_cli, tree):
    source = tree({"index.php": INDEX}, name="my app's $HOME\n-x")
    done = stager_cli("build", source.name, "--verify", "boot", "--json", cwd=source.parent)
    assert done.returncode == 0, done.stderr
    droplet = json.loads(done.stdout)["droplet"]["path"]
    assert (source.parent / droplet).exists()
    assert droplet.startswith("my app's $HOME\n-x.droplet")


def test_a_source_and_an_output_that_begin_with_a_dash(stager_cli, tree):
    source = tree({"index.php": INDEX}, name="-app")
    done = stager_cli("build", "-o", "-out.tar.gz", "--", "-app", cwd=source.parent)
    assert done.returncode == 0, done.stderr
    assert (source.parent / "-out.tar.gz").exists()


def test_exec_bits_and_dotfiles_are_kept_and_modes_are_made_plain(built, tree, tmp_path):
    source = tree({"index.php": INDEX, ".env": "A=1", ".well-known/x": "y", "bin/run": "#!/bin/sh\n"})
    (source / "index.php").chmod(0o600)
    (source / "bin/run").chmod(0o4711)
    (source / ".well-known").chmod(0o700)
    (source / "empty").mkdir(mode=0o777)
    built(source, "--format", "dir", name="there")
    app = tmp_path / "there/app"
    modes = {
        path: stat.S_IMODE((app / path).stat().st_mode)
        for path in ("index.php", "bin/run", ".env", ".well-known", "empty")
    }
    assert modes == {
        "index.php": 0o644,
        "bin/run": 0o755,
        ".env": 0o644,
        ".well-known": 0o755,
        "empty": 0o755,
    }


def test_links_inside_are_kept_as_they_are(built, tree, unpack, tmp_path):
    source = tree({"index.php": INDEX, "shared/page.php": "<?php", "deep/er/x": ""})
    links = {
        "page.php": "shared/page.php",
        "deep/er/up": "../../shared",
        "dangling": "not/there",
        "self": "self",
        "here": ".",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    built(source)
    app = unpack(tmp_path / "droplet.tar.gz") / "app"
    assert {name: os.readlink(app / name) for name in links} == links


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../etc/passwd", "folder/../../out", "folder/up/../../.."]
)
def test_links_that_lead_out_are_refused(stager_cli, tree, tmp_path, target):
    source = tree({"index.php": INDEX, "folder/x": ""})
    (source / "folder/up").symlink_to("..")
    (source / "evil").symlink_to(target)
    assert refused(stager_cli, tmp_path, source, 12, named="evil")["code"] == "unsafe-source"
    # What is not looked at does not matter.
    (source / ".stagerignore").write_text("/evil\n")
    assert stager_cli("build", source, "-o", tmp_path / "ok.tar.gz", "-q").returncode == 0


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_file_is_refused(stager_cli, tree, tmp_path, kind):
    source = tree({"index.php": INDEX})
    odd = source / "odd one"
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(odd))
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can make devices")
        try:
            os.mknod(odd, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("this container may not make devices")
    refused(stager_cli, tmp_path, source, 12, named="odd one")


def tar_with(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, content in (("index.php", INDEX.encode()), ("x", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in members:
            archive.addfile(info)
    return path


def member(name, type_=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type_, target
    return info


@pytest.mark.parametrize(
    "evil",
    [
        member("../evil"),
        member("/evil"),
        member("a/../../evil"),
        member("evil", tarfile.SYMTYPE, "../../etc/passwd"),
        member("evil", tarfile.SYMTYPE, "/etc/passwd"),
        member("evil", tarfile.LNKTYPE, "/etc/passwd"),
        member("evil", tarfile.LNKTYPE, "../../../etc/passwd"),
        member("evil", tarfile.CHRTYPE),
        member("evil", tarfile.BLKTYPE),
        member("evil", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}-{info.linkname}".replace("/", "_"),
)
def test_a_tar_with_something_evil_is_refused(stager_cli, tmp_path, evil):
    error = refused(stager_cli, tmp_path, tar_with(tmp_path / "app.tar", evil), 12, named="evil")
    assert error["code"] == "unsafe-source"
    assert error["fault"] == "application"


def test_a_tar_that_writes_through_a_link_is_refused(stager_cli, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tar_with(tmp_path / "app.tar", member("door", tarfile.SYMTYPE, "x"), member("door/evil"))
    refused(stager_cli, tmp_path, archive, 12, named="door")
    assert os.listdir(outside) == []


def test_a_hard_link_inside_a_tar_becomes_a_file(built, tmp_path):
    built(
        tar_with(tmp_path / "app.tar", member("copy.php", tarfile.LNKTYPE, "index.php")),
        "--format",
        "dir",
        name="there",
    )
    assert (tmp_path / "there/app/copy.php").read_text() == INDEX


def packed(tmp_path, suffix):
    """An archive with noise in it, so that it can be cut anywhere."""
    source = tmp_path / "packed"
    source.mkdir()
    (source / "index.php").write_text(INDEX)
    (source / "noise").write_bytes(random.Random(1).randbytes(200_000))
    archive = tmp_path / f"app.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in source.iterdir():
                zipped.write(path, path.name)
    else:
        subprocess.run(["tar", "-caf", archive, "-C", source, "."], check=True)
    shutil.rmtree(source)
    return archive


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst", "tar.xz", "tar.bz2", "zip"])
def test_truncated_archives_are_unreadable(stager_cli, tmp_path, suffix):
    archive = packed(tmp_path, suffix)
    whole = archive.read_bytes()
    assert stager_cli("detect", archive).returncode == 0
    for share in (0.0005, 0.5, 0.97):
        archive.write_bytes(whole[: int(len(whole) * share)])
        error = refused(stager_cli, tmp_path, archive, 11, named=archive.name)
        assert error["code"] == "source-unreadable"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.tar.gz", b""),
        ("garbage.tar", b"garbage" * 1000),
        ("garbage.zip", b"PK\x03\x04" + b"garbage" * 100),
        ("garbage.tar.gz", b"\x1f\x8b\x08\0" + b"garbage" * 100),
        ("garbage.tar.zst", b"\x28\xb5\x2f\xfd" + b"garbage" * 100),
        ("page.html", b"<html>404 not found</html>"),
        ("app.rar", b"Rar!\x1a\x07\x01\0" + bytes(600)),
    ],
)
def test_garbage_is_unreadable(stager_cli, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    refused(stager_cli, tmp_path, tmp_path / name, 11, named=name)


def test_garbage_and_nothing_through_a_pipe_are_unreadable(stager_cli, tmp_path):
    for data in (b"", b"garbage" * 1000, b"PK\x03\x04" + bytes(2000)):
        done = stager_cli("build", "-", "-o", tmp_path / "x.tar.gz", input=data)
        assert done.returncode == 11, done.stderr
        assert os.listdir(tmp_path) == []


def test_a_zip_bomb_is_refused_before_it_has_filled_the_disk(stager_cli, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.php", INDEX)
        with archive.open("zeros", "w") as zeros:
            for _ in range(128):
                zeros.write(bytes(1 << 20))
    refused(stager_cli, tmp_path, bomb, 12, named="bomb.zip")

    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive, open("/dev/zero", "rb") as endless:
        info = member("zeros")
        info.size = 128 << 20
        archive.addfile(info, endless)
    refused(stager_cli, tmp_path, tmp_path / "bomb.tar.gz", 12, named="bomb.tar.gz")


def test_a_source_over_the_size_that_is_allowed_is_refused(stager_cli, tree, tmp_path):
    source = tree({"index.php": INDEX, "large": os.urandom(300_000)})
    subprocess.run(["tar", "-cf", tmp_path / "app.tar", "-C", source, "."], check=True)
    for one in (source, tmp_path / "app.tar"):
        error = refused(stager_cli, tmp_path, one, 12, "--max-size", "200K")
        assert "--max-size" in error["resolution"]
    for one in (source, tmp_path / "app.tar"):
        assert (
            stager_cli("build", one, "-o", tmp_path / "x.tar.gz", "--max-size", "400K", "-q").returncode == 0
        )


@pytest.mark.parametrize("name", [".stagerignore", ".cfignore", ".slugignore"])
def test_ignore_files_leave_things_out(built, tree, tmp_path, name):
    source = tree({
        "index.php": INDEX, "notes.psd": "", "docs/a.md": "", "keep/docs.md": "", "logs/x.log": "",
        "logs/keep.log": "",
        name: "*.psd\n/docs/\n# a comment\nlogs/*\n!logs/keep.log\n",
    })  # fmt: skip
    built(source, "--format", "dir", name="there")
    app = tmp_path / "there/app"
    assert not (app / "notes.psd").exists()
    assert not (app / "docs").exists()
    assert (app / "keep/docs.md").exists()
    assert sorted(os.listdir(app / "logs")) == ["keep.log"]


def test_version_control_is_left_out_by_default(built, tree, tmp_path):
    source = tree(
        {
            "index.php": INDEX,
            ".git/config": "[core]",
            "lib/.git/HEAD": "x",
            ".svn/x": "",
            ".hg/x": "",
            ".gitignore": "index.php\n",
        }
    )
    built(source, "--format", "dir", name="there")
    app = tmp_path / "there/app"
    assert {".git", ".svn", ".hg"}.isdisjoint(os.listdir(app))
    assert not (app / "lib/.git").exists()
    # What git ignores is often what a build has made: it is no business of stager's.
    assert {".gitignore", "index.php"} <= set(os.listdir(app))


def test_the_droplet_and_the_report_are_no_part_of_the_source(stager_cli, tree):
    source = tree({"index.php": INDEX})
    arguments = ("build", ".", "-o", "out.tar.gz", "--report", "report.json", "--cache-dir", "cache", "-q")
    sizes = set()
    for _ in range(3):
        assert stager_cli(*arguments, cwd=source).returncode == 0
        sizes.add((source / "out.tar.gz").read_bytes())
    assert len(sizes) == 1


@pytest.mark.parametrize("report", ["no/such/place.json", ".", "out.tar.gz"])
def test_a_report_that_cannot_be_written_ends_the_build_before_it_begins(stager_cli, tree, tmp_path, report):
    (tmp_path / "out.tar.gz").write_bytes(b"precious")
    done = stager_cli("build", tree({"index.php": INDEX}), "-o", "out.tar.gz", "--report", report, "--json")
    assert done.returncode == (2 if report == "out.tar.gz" else 51)
    assert done.stderr.count("stager: ") == 1
    assert json.loads(done.stdout)["phases"] == []
    assert (tmp_path / "out.tar.gz").read_bytes() == b"precious"


def test_a_zip_made_on_windows(built, tmp_path):
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in (
            ("site\\index.php", INDEX),
            ("site\\css\\a.css", "a {}"),
            ("site\\bin\\run.sh", "#!/bin/sh\n"),
        ):
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.create_system, info.external_attr = name, 0, 0x20
            zipped.writestr(info, text)
    report = built(archive, "--format", "dir", "--verify", "boot", name="there")
    assert report["verification"]["boot"]["status"] == "served"
    app = tmp_path / "there/app"
    assert sorted(os.listdir(app)) == ["bin", "css", "index.php"]
    assert (app / "css/a.css").read_text() == "a {}"


MEDIATOR = """
import json, resource, subprocess, sys, time
started = time.monotonic()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL).returncode
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([status, kilobytes, time.monotonic() - started]))
"""


def measure(*arguments):
    """Exit code, the most memory that stager had (KB), and seconds. Not as our own child: what is forked from
    a process begins with that one's peak as its own, and pytest is larger than stager."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", MEDIATOR, STAGER, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), done.stderr


def test_fifty_thousand_files_take_no_more_memory_than_five_thousand(stager_cli, tmp_path):
    peaks, times = [], []
    for count in (5_000, 50_000):
        source = tmp_path / f"app{count}"
        make_files(source, count)
        (status, kilobytes, seconds), said = measure("build", source, "-o", tmp_path / "a.tar.gz", "-q")
        assert status == 0, said
        peaks.append(kilobytes)
        times.append(seconds)
    done = stager_cli("inspect", tmp_path / "a.tar.gz", "--json")
    assert json.loads(done.stdout)["sizes"]["files"] > 50_000
    assert peaks[1] < 120 << 10
    # 35 and 27 MB were measured.
    assert peaks[1] < 1.6 * peaks[0]
    # Ten times as many files.
    assert times[1] < 30 * times[0]


def make_files(source, count):
    source.mkdir()
    (source / "index.php").write_text(INDEX)
    for number in range(count // 500):
        folder = f"{source}/folder{number}"
        os.mkdir(folder)
        first = Path(folder, "first.txt")
        first.write_text(f"the content of folder {number}\n" * 20)
        # Names of one file: making 50,000 files takes up to half a minute, making links less than a second.
        for name in range(499):
            os.link(first, f"{folder}/file-{name}.txt")
