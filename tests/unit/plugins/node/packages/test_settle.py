"""What the script that settles packages does to real directories."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[5] / "stager/templates/node/settle.js.j2"

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs node")


@pytest.fixture
def application(tmp_path):
    """An application in the place where steps run, made of these files."""
    root = tmp_path / "workspace/app"

    def make(files):
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return make


def settle(root, *arguments):
    return subprocess.run(
        ["node", SCRIPT, *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def installed(root, *packages, **noted):
    """Packages, and npm's own note of them; names that begin with dev are for development."""
    listed = {}
    for name in packages:
        (root / "node_modules" / name).mkdir(parents=True)
        listed[f"node_modules/{name}"] = {"version": "1.0.0", **({"dev": True} if "dev" in name else {})}
    document = {"lockfileVersion": 3, "packages": {**listed, **noted}}
    (root / "node_modules/.package-lock.json").write_text(json.dumps(document))


def test_packages_for_development_go_with_their_programs_and_their_note(application):
    root = application({"index.js": ""})
    installed(root, "express", "@types/dev-express", "dev-mocha")
    programs = root / "node_modules/.bin"
    programs.mkdir()
    (programs / "mocha").symlink_to("../dev-mocha")
    (programs / "express").symlink_to("../express")
    done = settle(root, "--prune=false", "node_modules")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (root / "node_modules").iterdir()) == [
        ".bin",
        ".package-lock.json",
        "express",
    ]
    assert [path.name for path in programs.iterdir()] == ["express"]
    noted = json.loads((root / "node_modules/.package-lock.json").read_text())["packages"]
    assert list(noted) == ["node_modules/express"]


def test_a_folder_of_the_applications_own_is_never_removed(application):
    root = application({"packages/tools/index.js": "", "precious.js": ""})
    places = ("packages/tools", "node_modules/../precious.js")
    installed(root, "express", **{place: {"dev": True} for place in places})
    assert settle(root, "--prune=false", "node_modules").returncode == 0
    assert (root / "packages/tools/index.js").exists()
    assert (root / "precious.js").exists()


def test_without_a_note_npm_does_it(application):
    root = application({"node_modules/express/index.js": ""})
    assert settle(root, "--prune=touch asked", "node_modules").returncode == 0
    assert (root / "asked").exists()
    assert settle(root, "--prune=false", "node_modules").returncode == 1


def test_texts_forget_the_directory_and_what_is_no_text_keeps_its_length(application, tmp_path):
    root = application({})
    place = str(root).encode()
    files = {
        "dist/server.mjs": b'const here = "file://' + place + b'/dist/";\nconst name = "\xc5\xbc\xff";\n',
        "node_modules/.prisma/client.js": place + b"/schema.prisma",
        "cache.pack": b"\0" + place,
        "unrelated.js": b"/elsewhere/app",
    }
    application(files)
    (root / "dist/server.mjs").chmod(0o755)
    assert settle(root, "node_modules").returncode == 0
    assert (root / "dist/server.mjs").read_bytes() == (
        b'const here = "file:///app/dist/";\nconst name = "\xc5\xbc\xff";\n'
    )
    assert (root / "dist/server.mjs").stat().st_mode & 0o777 == 0o755
    assert (root / "node_modules/.prisma/client.js").read_bytes() == b"/app/schema.prisma"
    assert (root / "cache.pack").read_bytes() == b"\0" + place
    assert (root / "unrelated.js").read_bytes() == b"/elsewhere/app"


def test_what_a_second_name_shows_stays_as_it_was(application, tmp_path):
    root = application({})
    application({"node_modules/built/paths.js": f"{root}/x"})
    (tmp_path / "store").hardlink_to(root / "node_modules/built/paths.js")
    assert settle(root, "node_modules").returncode == 0
    assert (root / "node_modules/built/paths.js").read_text() == "/app/x"
    assert (tmp_path / "store").read_text() == f"{root}/x"


def test_links_into_the_application_become_relative_and_others_are_refused(application, tmp_path):
    root = application({"packages/words/index.js": "", "node_modules/x/index.js": ""})
    (root / "node_modules/words").symlink_to(root / "packages/words")
    assert settle(root, "node_modules").returncode == 0
    assert (root / "node_modules/words").readlink() == Path("../packages/words")
    (root / "node_modules/outside").symlink_to(tmp_path)
    refused = settle(root, "node_modules")
    assert refused.returncode == 1
    assert "node_modules/outside is a link to" in refused.stderr


def test_native_code_that_nothing_compiled_is_told_of(application):
    prebuilt = json.dumps({"optionalDependencies": {"@x/watcher-linux-x64-glibc": "1.0.0"}})
    root = application({
        "node_modules/@x/adder/binding.gyp": "{}",
        "node_modules/@x/adder/package.json": "{}",
        "node_modules/@x/adder/build/Makefile": "",
        "node_modules/.pnpm/bcrypt@5.1.1/node_modules/bcrypt/binding.gyp": "{}",
        "node_modules/.pnpm/bcrypt@5.1.1/node_modules/bcrypt/package.json": "{}",
        "node_modules/compiled/binding.gyp": "{}",
        "node_modules/compiled/build/Release/compiled.node": "",
        "node_modules/prebuilt/binding.gyp": "{}",
        "node_modules/prebuilt/prebuilds/linux-x64/node.napi.node": "",
        "node_modules/elsewhere/binding.gyp": "{}",
        "node_modules/elsewhere/package.json": prebuilt,
    })  # fmt: skip
    done = settle(root, "--allow=pnpm approve-builds", "node_modules")
    assert done.stdout == (
        "stager: warning: Not compiled, and loading it fails: @x/adder, bcrypt. "
        "If its scripts were not run: pnpm approve-builds\n"
    )
    assert done.returncode == 0


def run(script, root, *arguments):
    path = SCRIPT.with_name(script)
    return subprocess.run(
        ["node", path, *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("names", [["bcrypt@5.1.1", "@x/adder@file:adder.tgz"], []])
def test_scripts_that_pnpm_passed_over_are_named_as_they_are_allowed(application, names):
    root = application({"node_modules/.modules.yaml": json.dumps({"ignoredBuilds": names})})
    done = run("ignored.js.j2", root)
    assert done.stdout.startswith(
        "stager: warning: pnpm did not run the scripts of @x/adder, bcrypt"
    ) is bool(names)
    assert ('onlyBuiltDependencies: ["@x/adder", bcrypt]' in done.stdout) is bool(names)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", ["layoutVersion: 5\n", "", "null"])
def test_a_note_of_pnpms_that_is_another_is_no_matter(application, text):
    done = run("ignored.js.j2", application({"node_modules/.modules.yaml": text}))
    assert (done.returncode, done.stdout) == (0, "")


NEXT = {
    ".next/standalone/server.js": "",
    ".next/standalone/.next/server/page.js": "",
    ".next/static/chunk.js": "chunk",
    ".next/server/page.js": "",
    "public/deep/next.svg": "<svg/>",
}


def test_nexts_own_server_gets_what_it_sends(application):
    root = application(NEXT)
    for _ in range(2):
        assert run("standalone.js.j2", root, ".next").returncode == 0
    home = root / ".next/standalone"
    assert (home / ".next/static/chunk.js").read_text() == "chunk"
    assert (home / "public/deep/next.svg").read_text() == "<svg/>"
    assert (root / ".next/server/page.js").exists()
    assert run("standalone.js.j2", root, ".next", "--whole").returncode == 0
    assert [path.name for path in (root / ".next").iterdir()] == ["standalone"]


def test_a_build_without_that_server_is_an_error(application):
    done = run("standalone.js.j2", application({".next/BUILD_ID": ""}), ".next", "--whole")
    assert done.returncode == 1
    assert done.stderr == "stager: no .next/standalone/server.js\n"
