"""Same source, same bytes: from any directory, user, umask, clock and order of files."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

APPLICATION = {
    "index.php": "<?php echo 'hello';",
    "public/style.css": "body { color: teal }",
    "bin/tool": "#!/bin/sh\necho tool\n",
    ".htaccess": "Options -Indexes\n",
    "Procfile": "worker: php worker.php\n",
}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst"])
def test_directory_user_umask_clock_and_order_do_not_matter(
    built, stager_cli, tree, tmp_path, unprivileged_user, suffix
):
    source = tree(APPLICATION)
    first = built(source, name=f"a.{suffix}", environment={"TZ": "UTC", "LANG": "C.UTF-8"}, umask=0o022)

    # Elsewhere, made in another order, at another time, by another user.
    elsewhere = tmp_path / "some where/else"
    elsewhere.mkdir(parents=True)
    for path in reversed(APPLICATION):
        target = elsewhere / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target)
        target.chmod(0o700 if os.access(source / path, os.X_OK) else 0o600)
        os.utime(target, (1, 1))
    (elsewhere / "empty").mkdir()
    (elsewhere / "empty").rmdir()
    subprocess.run(["chown", "-R", str(unprivileged_user.uid), tmp_path / "some where"], check=True)
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    done = stager_cli(
        "build", elsewhere, "-o", out / f"b.{suffix}", cwd="/", umask=0o077, account=unprivileged_user,
        environment={"TZ": "Asia/Tokyo", "LANG": "C"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sha256(out / f"b.{suffix}") == sha256(tmp_path / f"a.{suffix}") == first["droplet"]["sha256"]


def test_an_archive_gives_the_same_droplet_as_the_directory(built, tree, tmp_path):
    source = tree(APPLICATION)
    expected = built(source, name="directory.tar.gz")["droplet"]["sha256"]
    subprocess.run(["tar", "-cf", tmp_path / "app.tar", "-C", source, "."], check=True)
    subprocess.run(["tar", "-czf", tmp_path / "app.tar.gz", "-C", source.parent, "app"], check=True)
    subprocess.run(["tar", "--zstd", "-cf", tmp_path / "app.tar.zst", "-C", source, "."], check=True)
    subprocess.run(["tar", "-cJf", tmp_path / "app.tar.xz", "-C", source, "."], check=True)
    zip_with_modes(source, tmp_path / "app.zip")
    for archive in ("app.tar", "app.tar.gz", "app.tar.zst", "app.tar.xz", "app.zip"):
        assert built(tmp_path / archive, name="x.tar.gz")["droplet"]["sha256"] == expected, archive


def test_a_tar_on_stdin_gives_the_same_droplet(stager_cli, built, tree, tmp_path):
    source = tree(APPLICATION)
    expected = built(source)["droplet"]["sha256"]
    packed = subprocess.run(["tar", "-cf", "-", "-C", source, "."], capture_output=True, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "stager", "build", "-", "-o", tmp_path / "stdin.tar.gz", "-q"],
        input=packed.stdout, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "stdin.tar.gz") == expected


def test_building_twice_in_the_source_directory_gives_the_same_bytes(stager_cli, tree):
    source = tree(APPLICATION)
    digests = []
    for _ in range(2):
        done = stager_cli("build", ".", cwd=source)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "app.droplet.tar.gz"
        digests.append(sha256(source / "app.droplet.tar.gz"))
    assert digests[0] == digests[1]


def test_source_date_epoch_sets_the_time_of_every_member(built, tree, tmp_path):
    built(tree(APPLICATION), environment={"SOURCE_DATE_EPOCH": "1700000000"})
    listed = subprocess.run(
        ["tar", "-tvf", tmp_path / "droplet.tar.gz"],
        env={"PATH": os.environ["PATH"], "TZ": "UTC"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {line.split()[3] for line in listed.stdout.splitlines()} == {"2023-11-14"}


def test_every_format_holds_the_same_files(built, tree, unpack, tmp_path):
    source = tree(APPLICATION)
    built(source, name="a.tar.gz")
    built(source, name="a.tar.zst")
    built(source, "--format", "dir", name="directory")
    gz, zst = unpack(tmp_path / "a.tar.gz", "gz"), unpack(tmp_path / "a.tar.zst", "zst")
    for other in (zst, tmp_path / "directory"):
        subprocess.run(["diff", "-r", gz, other], check=True)
    for directory in (gz, zst, tmp_path / "directory"):
        subprocess.run(["sha256sum", "--check", "--quiet", "droplet.sha256"], cwd=directory, check=True)
        assert os.access(directory / "app/bin/tool", os.X_OK)
        assert (directory / "app/.htaccess").exists()


def zip_with_modes(source, target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source))
