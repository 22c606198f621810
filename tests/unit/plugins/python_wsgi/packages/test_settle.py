"""What the settle script leaves: packages that can be moved, and that are the same bytes every time."""

import ast
import base64
import csv
import glob
import hashlib
import io
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from stager.rendering import Renderer

UV = uv.find_uv_bin()
CACHE = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
SCRIPT = Renderer().render("python_wsgi/settle.py.j2", {})
PACKAGE = {
    "pack/__init__.py": """NAMES = frozenset({'b', 'a', None, 3, 'long name', ('x', 'y')})


def f():
    raise KeyError(1 in {'some', 'names', None})
""",
    "pack/cli.py": "import sys, pack\n\n\ndef main():\n    print('main', pack.__file__)\n",
    "pack/template/broken.py": "def {{ name }}(:\n",
    "pack/__pycache__/cli.cpython-311.pyc": "stale",
    "pack/data file.txt": "text",
    "pack.pth": "import sys; sys.pack_pth = True\n",
    "pack-1.data/scripts/old-script": "#!python\nprint('old')\n",
    "pack-1.data/data/share/pack/page.txt": "page",
    "pack-1.dist-info/entry_points.txt": "[console_scripts]\npack-it = pack.cli:main\n",
}


def make_wheel(folder, name, files):
    """A wheel made by hand: no index and no build."""
    info = f"{name}-1.dist-info"
    texts = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-1-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in texts.items():
            data = text.encode() if isinstance(text, str) else text
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            record.append(f"{inside},sha256={digest},{len(data)}\n")
            archive.writestr(inside, data)
        archive.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    library = Path(ast.__file__).parent
    bulk = {
        f"bulk/{part}/{path.name}": path.read_bytes()
        for part in ("asyncio", "email", "json", "logging")
        for path in (library / part).glob("*.py")
    }
    return make_wheel(folder, "pack", PACKAGE), make_wheel(folder, "bulk", bulk)


def settle(workspace, wheels, python=sys.executable, prefix=(), before=None, **environment):
    """Install into a fresh environment and settle it, as the steps do; return the folder of packages."""
    application = workspace / "app"
    application.mkdir(parents=True)
    (workspace / "deps").mkdir()
    (workspace / "build").mkdir()
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(workspace),
        "UV_CACHE_DIR": CACHE,
        "UV_LINK_MODE": "copy",
    }

    def run(*argv, **more):
        done = subprocess.run(
            argv, cwd=application, env={**clean, **more}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run(UV, "venv", "--no-project", "--no-config", "--python", python, "../build/python")
    run(UV, "pip", "install", "--no-config", "--offline", "--no-index", "--python", "../build/python",
        *map(str, wheels))  # fmt: skip
    if before:
        before(workspace / "build/python")
    (workspace / "settle.py").write_text(SCRIPT)
    arguments = ("../settle.py", "../build/python", "../deps/python")
    run(*prefix, "../build/python/bin/python", *arguments, **environment)
    return workspace / "deps/python"


def site_of(tree):
    return next(tree.glob("lib/python3.*/site-packages"))


def contents(tree):
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            is_executable = bool(path.stat().st_mode & 0o100)
            found[path.relative_to(tree).as_posix()] = (
                path.readlink() if path.is_symlink() else path.read_bytes(),
                is_executable,
            )
    return found


def private_environment(folder, tree, python=None):
    """What `startup` makes around the interpreter and the packages."""
    python = os.path.realpath(python or getattr(sys, "_base_executable", sys.executable))
    site = folder / "lib" / site_of(tree).parent.name / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "pyvenv.cfg").write_text(f"home = {os.path.dirname(python)}\n")
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(python)
    (site / "stager.pth").write_text(f"import site; site.addsitedir({str(site_of(tree))!r})\n")
    return folder / "bin"


def started(private, tree, *argv):
    environment = {"PATH": f"{private}:{tree}/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def settled(wheels, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("settled") / "workspace"
    return settle(workspace, wheels)


def test_directory_umask_hash_seed_and_cores_do_not_change_a_byte(settled, wheels, tmp_path):
    mask = os.umask(0o077)
    try:
        other = settle(
            tmp_path / "another one" / ("long" * 30),
            wheels,
            prefix=("taskset", "-c", str(min(os.sched_getaffinity(0)))),
            PYTHONHASHSEED="77",
            PYTHONOPTIMIZE="2",
        )
    finally:
        os.umask(mask)
    first, second = contents(settled), contents(other)
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] != second[path]] == []
    assert len([path for path in first if path.endswith(".pyc")]) > 50


def test_nothing_names_the_directory_of_the_build(settled):
    build = os.fsencode(settled.parents[1])
    assert [path for path, (data, _) in contents(settled).items() if build in bytes(data)] == []


def test_the_moved_tree_runs_pth_files_and_scripts(wheels, tmp_path):
    tree = settle(tmp_path / "workspace", wheels)
    moved = tmp_path / "elsewhere and moved"
    (tmp_path / "workspace/deps/python").rename(moved)
    private = private_environment(tmp_path / "private", moved)
    ask = "import sys, pack; print(pack.__cached__, sys.pack_pth, sys.prefix, sorted(map(str, pack.NAMES)))"
    told = started(private, moved, "python", "-c", ask)
    assert str(moved) in told
    assert f"True {tmp_path}/private" in told
    assert started(private, moved, "pack-it") == f"main {site_of(moved)}/pack/__init__.py"
    assert started(private, moved, "old-script") == "old"
    assert not tree.exists()


def test_only_scripts_of_packages_and_their_data_are_kept(settled):
    assert sorted(path.name for path in (settled / "bin").iterdir()) == ["old-script", "pack-it"]
    assert (settled / "bin/pack-it").read_text().startswith("#!/usr/bin/env python3\n")
    assert (settled / "share/pack/page.txt").read_text() == "page"
    assert sorted(path.name for path in settled.iterdir()) == ["bin", "lib", "share"]


def test_the_environment_of_the_build_still_works(settled):
    environment = settled.parents[1] / "build/python"
    python = environment / "bin/python"
    ask = [python, "-c", "import pack, bulk.json, sys; print(sys.pack_pth)"]
    assert subprocess.check_output(ask, text=True) == "True\n"
    path = f"{environment}/bin:{os.environ['PATH']}"
    assert b"main" in subprocess.check_output([environment / "bin/pack-it"], env={"PATH": path})
    assert not os.path.isabs(os.readlink(environment / "lib"))


def test_bytecode_is_never_checked_and_names_no_directory(settled):
    package = site_of(settled) / "pack"
    cached = package / "__pycache__"
    data = (cached / f"__init__.{sys.implementation.cache_tag}.pyc").read_bytes()
    assert data[4:8] == b"\x01\x00\x00\x00"
    assert marshal.loads(data[16:]).co_filename == "pack/__init__.py"
    # A template is no module, and what came along was made by somebody else.
    assert not list((package / "template/__pycache__").iterdir())
    assert len(list(cached.iterdir())) == 2
    assert b"stale" not in (cached / f"cli.{sys.implementation.cache_tag}.pyc").read_bytes()


def test_a_traceback_names_the_file_where_it_is(settled, tmp_path):
    private = private_environment(tmp_path / "private", settled)
    ask = "import traceback, pack\ntry: pack.f()\nexcept KeyError: print(traceback.format_exc())"
    assert f'"{site_of(settled)}/pack/__init__.py", line 5' in started(private, settled, "python", "-c", ask)


def test_records_are_right_and_sorted(settled):
    site = site_of(settled)
    rows = list(csv.reader(io.StringIO((site / "pack-1.dist-info/RECORD").read_text())))
    names = [row[0] for row in rows]
    assert names == sorted(names)
    assert "pack-1.dist-info/direct_url.json" not in names
    assert not any("__pycache__" in name for name in names)
    for name, digest, size in rows:
        if digest:
            data = (site / name).read_bytes()
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(data))), name
    assert not list(site.rglob("direct_url.json")) + list(site.rglob("uv_*.json"))


def test_a_pth_file_that_names_the_build_becomes_relative(wheels, tmp_path):
    workspace = tmp_path / "workspace"

    def before(environment):
        (site_of(environment) / "editable.pth").write_text(f"{workspace}/app/src\n")

    tree = settle(workspace, wheels, before=before)
    assert (site_of(tree) / "editable.pth").read_text() == "../../../../../app/src\n"


def test_an_absolute_link_into_the_environment_is_turned_and_another_one_refused(wheels, tmp_path):
    def inside(environment):
        (site_of(environment) / "link").symlink_to(site_of(environment) / "pack")

    def outside(environment):
        (site_of(environment) / "link").symlink_to("/usr/share/nothing")

    tree = settle(tmp_path / "inside", wheels, before=inside)
    assert os.readlink(site_of(tree) / "link") == "pack"
    with pytest.raises(AssertionError, match="is a link to /usr/share/nothing, which will not be there"):
        settle(tmp_path / "outside", wheels, before=outside)


def test_a_script_whose_python_has_a_long_path_is_found(wheels, tmp_path):
    # Linux reads 127 bytes of a shebang: beyond them, installers write a program for sh.
    tree = settle(tmp_path / ("long" * 40), wheels)
    assert (tree / "bin/pack-it").read_text().startswith("#!/usr/bin/env python3\n# -*- coding")
    assert (tree / "bin/old-script").read_text() == "#!/usr/bin/env python3\nprint('old')\n"


def pythons():
    found = {}
    folders = ("/usr/bin", "/usr/local/bin", os.path.expanduser("~/.pyenv/versions/*/bin"))
    for folder in folders:
        for path in glob.glob(f"{folder}/python3.[0-9]*"):
            minor = os.path.basename(path)[8:]
            if minor.isdigit() and int(minor) >= 8:
                found.setdefault(int(minor), path)
    return sorted(found.items())


@pytest.mark.parametrize("python", [pytest.param(path, id=f"3.{minor}") for minor, path in pythons()])
def test_every_python_makes_the_same_bytes_twice(python, wheels, tmp_path):
    first = settle(tmp_path / "first", wheels, python)
    alone = ("taskset", "-c", str(min(os.sched_getaffinity(0))))
    second = settle(tmp_path / "second", wheels, python, prefix=alone, PYTHONHASHSEED="5")
    one, other = contents(first), contents(second)
    assert one.keys() == other.keys()
    assert [path for path in one if one[path] != other[path]] == []
    private = private_environment(tmp_path / "private", first, python)
    assert started(private, first, "pack-it").startswith("main")
