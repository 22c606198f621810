"""Node applications that cannot be built, or do not run: what people are told then."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
LOCKS = FIXTURES / "node_locks"
SERVER = """
const http = require("http");
http.createServer((request, response) => response.end("hello")).listen(process.env.PORT);
"""
IMPATIENT = "health: {timeout: 4}\n"


def manifest(**keys):
    """A package.json that starts a server."""
    return json.dumps({"name": "shop", "scripts": {"start": "node server.js"}, **keys}, indent=2)


def locked(version="1.0.0", **packages):
    """A package-lock.json without any package, or with these."""
    root = {"name": "shop", "dependencies": packages} if packages else {"name": "shop"}
    return json.dumps({"name": "shop", "lockfileVersion": 3, "requires": True, "packages": {"": root}})


def test_an_invalid_package_json_is_shown_with_line_and_column(fail, tree):
    text = '{\n  "name": "shop",\n  "scripts": {\n    "start": "node server.js",\n  }\n}\n'
    error = fail(tree({"package.json": text, "server.js": SERVER}), 10)
    said = error["brief"] + error["details"]
    assert "package.json" in said
    assert "line 4" in said or "line 5" in said
    assert "column" in said


def test_two_locks_are_refused_with_the_command_that_mends_it(fail, tree):
    files = {"package.json": manifest(), "package-lock.json": locked(), "yarn.lock": "# yarn lockfile v1\n"}
    error = fail(tree({**files, "server.js": SERVER}), 33)
    assert "git rm yarn.lock" in error["resolution"]
    assert "git rm package-lock.json" in error["resolution"]


@pytest.mark.parametrize(
    ("name", "lock"), [("package-lock.json", None), ("yarn.lock", "yarn.1.lock"), ("bun.lock", "bun.lock")]
)
def test_a_lock_out_of_step_is_refused_with_the_difference(fail, tree, name, lock):
    text = (LOCKS / lock if lock else FIXTURES / "node_express/package-lock.json").read_text()
    asked = manifest(
        dependencies={"express": "^5.1.0", "is-even": "^1.0.0"}, devDependencies={"is-odd": "^3.0.1"}
    )
    error = fail(tree({"package.json": asked, "server.js": SERVER, name: text}), 33)
    assert "package.json line 8 asks for is-even ^1.0.0" in error["details"]
    assert f"{name} has none" in error["details"]


def test_pnpm_10_does_not_pass_over_a_lock_of_pnpm_8(fail, tree):
    asked = {**json.loads((FIXTURES / "node_express/package.json").read_text())}
    files = {
        "package.json": json.dumps({**asked, "packageManager": "pnpm@10.34.9"}),
        "pnpm-lock.yaml": (LOCKS / "pnpm-lock.8.yaml").read_text(),
        "server.js": SERVER,
    }
    error = fail(tree(files), 33)
    assert "pnpm@10.34.9" in error["brief"]
    assert "pnpm-lock.yaml line 1: lockfileVersion 6.0" in error["details"]
    assert "packageManager=pnpm@8.15.9" in error["resolution"]


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("package.json", manifest(engines={"node": ">=99"}), "package.json: engines.node"),
        (".nvmrc", "v99\n", ".nvmrc line 1"),
        (".tool-versions", "python 3.11\nnodejs 99.1.0\n", ".tool-versions line 2"),
    ],
)
def test_a_node_that_the_host_does_not_have_is_named_beside_those_that_it_has(fail, tree, file, text, where):
    error = fail(tree({"package.json": manifest(), "server.js": SERVER, file: text}), 31)
    assert where in error["brief"] + error["details"]
    assert "This host has:" in error["details"]


def test_nothing_to_start_lists_what_was_looked_at(fail, tree):
    text = json.dumps({"name": "shop", "dependencies": {"ms": "2.1.3"}})
    error = fail(tree({"package.json": text, "lib/prices.js": "exports.price = 1;\n"}), 32)
    assert "scripts.start" in error["details"]
    assert "server,app,index,main" in error["details"]
    assert '"start": "node server.js"' in error["resolution"]


def test_a_dependency_that_does_not_exist_is_named_with_its_line(fail, tree):
    asked = manifest(dependencies={"no-such-package-of-anybody": "^1.0.0"})
    error = fail(tree({"package.json": asked, "server.js": SERVER}), 40)
    assert "no-such-package-of-anybody" in error["brief"]
    assert "package.json line 7" in error["brief"]
    assert error["fault"] == "application"


def test_a_version_that_does_not_exist_is_named(fail, tree):
    error = fail(tree({"package.json": manifest(dependencies={"ms": "99.1.0"}), "server.js": SERVER}), 40)
    assert "ms 99.1.0" in error["brief"]


def test_a_git_dependency_cannot_be_had_offline(fail, tree):
    asked = manifest(dependencies={"ms": "git+https://git.example.com/vercel/ms.git"})
    error = fail(tree({"package.json": asked, "server.js": SERVER}), 44, "--offline")
    assert "Offline" in error["brief"]
    assert "from git is fetched by every build" in error["resolution"]


def test_a_native_module_that_does_not_compile_shows_the_compilers_words(fail):
    error = fail(FIXTURES / "node_broken_native", 40)
    assert "compiled" in error["brief"]
    assert "a_library_that_nobody_has.h" in error["brief"] + error["details"]


def test_svelte_kit_without_an_adapter_for_node_is_told_which(fail, tree):
    asked = {"@sveltejs/kit": "^2.63.0", "@sveltejs/adapter-auto": "^7.0.0", "vite": "^8.0.0"}
    text = json.dumps({"name": "shop", "scripts": {"build": "vite build"}, "devDependencies": asked})
    config = "import adapter from '@sveltejs/adapter-auto'; x = {plugins: [sveltekit({adapter: adapter()})]}"
    error = fail(tree({"package.json": text, "vite.config.ts": config}), 32)
    assert "@sveltejs/adapter-auto" in error["brief"]
    assert "npm install --save-dev @sveltejs/adapter-node" in error["resolution"]


def test_native_code_that_pnpm_passes_over_is_named_with_what_allows_it(fail, tree):
    package = {"name": "adder", "version": "1.0.0", "scripts": {"install": "node-gyp rebuild"}}
    files = {
        "package.json": json.dumps(package),
        "binding.gyp": json.dumps({"targets": [{"target_name": "adder", "sources": ["adder.c"]}]}),
        "index.js": "module.exports = require('./build/Release/adder.node');",
    }
    asked = manifest(packageManager="pnpm@10.34.9", dependencies={"adder": "file:adder.tgz"})
    packed = archive(files)
    source = tree({
        "package.json": asked, "adder.tgz": packed, "server.js": f"require('adder');{SERVER}",
        "stager.yml": IMPATIENT,
    })  # fmt: skip
    error, report = fail(source, 60, "--verify", "boot", is_report=True)
    assert "adder.node" in error["details"]
    passed, compiled = report["warnings"][-2:]
    assert "did not run the scripts of adder" in passed
    assert "onlyBuiltDependencies: [adder]" in passed
    assert compiled.startswith("Not compiled, and loading it fails: adder.")


def archive(files):
    """A package as a registry has it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_a_build_that_runs_out_of_memory_is_named_as_such(fail, tree):
    build = "const kept = []; for (;;) kept.push(new Array(1e5).fill({}));\n"
    scripts = {"start": "node server.js", "build": "node --max-old-space-size=40 build.js"}
    files = {"package.json": manifest(scripts=scripts), "server.js": SERVER, "build.js": build}
    error = fail(tree(files), 40)
    assert "ran out of memory" in error["brief"]
    assert "--max-old-space-size" in error["resolution"]


def test_a_build_that_never_ends_is_ended(fail, tree):
    scripts = {"start": "node server.js", "build": "node -e 'setInterval(() => {}, 1000)'"}
    source = tree({"package.json": manifest(scripts=scripts), "server.js": SERVER})
    error = fail(source, 42, "--timeout", "10")
    assert "10 seconds that --timeout allows: npm run build was not done yet" in error["brief"]


def test_a_script_that_runs_what_is_not_there_is_named(fail, tree):
    scripts = {"start": "node server.js", "build": "vite-of-nobody build"}
    error = fail(tree({"package.json": manifest(scripts=scripts), "server.js": SERVER}), 40)
    assert "vite-of-nobody is run" in error["brief"]
    assert "devDependencies" in error["resolution"]


def test_an_error_of_npms_counts_although_it_ends_with_0(fail, tree, programs):
    real = shutil.which("npm")
    programs(
        "npm",
        f"""case $1 in install|ci) echo 'npm ERR! code EWHATEVER' >&2; exit 0;; esac
exec {real} "$@" """,
    )
    asked = manifest(dependencies={"ms": "2.1.3"})
    error = fail(tree({"package.json": asked, "server.js": SERVER}), 40)
    assert "npm ERR! code EWHATEVER" in error["details"]


def test_an_application_that_ignores_its_port_is_a_finding_with_the_one_that_it_has(fail, tree, free_port):
    files = {"package.json": manifest(), "server.js": SERVER.replace("process.env.PORT", str(free_port))}
    error = fail(tree({**files, "stager.yml": IMPATIENT}), 60, "--verify", "boot")
    assert f"listen on {free_port}" in error["details"]


def test_an_application_that_fails_at_its_start_shows_why(fail, tree):
    files = {"package.json": manifest(), "server.js": "require('a-package-that-was-forgotten');\n"}
    error = fail(tree({**files, "stager.yml": IMPATIENT}), 60, "--verify", "boot")
    assert "Cannot find module 'a-package-that-was-forgotten'" in error["details"]
