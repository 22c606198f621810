"""The rules of this project that a person would forget, checked on the project itself."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

import stager
from stager import errors, hookspecs

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted((PROJECT / "stager").rglob("*.py"))
TEMPLATES = sorted(path for path in (PROJECT / "stager").rglob("*.j2"))
PAGES = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])

#: Lines of one module. About 300 is the aim, from 400 on it has to be split by noun.
LONGEST_MODULE = 400
#: Modules that may be longer, each with its reason. None yet.
LONGER_MODULES: dict[str, str] = {}
#: Words that say nothing about what is in a module, a class or a function.
EMPTY_WORDS = {
    "utils",
    "util",
    "helper",
    "helpers",
    "manager",
    "handler",
    "framework",
    "builder",
    "common",
    "misc",
}
#: Packages that bring a program, and are not imported.
PROGRAMS = {"uv"}
#: What `stager --version` must not import: 10 to 60 ms each.
HEAVY = {"asyncio", "isal", "jinja2", "rich", "sh", "tarfile", "yaml", "zstandard"}


def relative(path):
    return path.relative_to(PROJECT).as_posix()


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), relative(path))


def error_classes():
    found = [errors.StagerError]
    for one in found:
        found.extend(one.__subclasses__())
    return [one for one in found if one.__module__ == "stager.errors"]


def in_module(path, *kinds):
    return [node for node in ast.walk(parsed(path)) if isinstance(node, kinds)]


def test_no_module_is_longer_than_it_may_be():
    too_long = {
        relative(path): lines
        for path in MODULES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_MODULE
        and relative(path) not in LONGER_MODULES
    }
    assert too_long == {}


def words(name):
    """The words of a name; what npm and its like are called by everyone is one word."""
    spelt = re.sub(r"([A-Z])", r"_\1", name).lower().strip("_").replace("package_manager", "npm")
    return set(re.findall(r"[a-z]+", spelt))


def test_names_say_what_is_there():
    empty = [
        f"{relative(path)}: {name}"
        for path in MODULES
        for name in [
            *path.relative_to(PROJECT).with_suffix("").parts,
            *(node.name for node in in_module(path, ast.ClassDef, ast.FunctionDef)),
        ]
        if EMPTY_WORDS & words(name)
    ]
    assert empty == []


def test_only_the_command_line_prints():
    printing = [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if "stager/cli/" not in relative(path)
        for node in in_module(path, ast.Call, ast.Attribute)
        if ast.unparse(node.func if isinstance(node, ast.Call) else node)
        in {"print", "sys.stdout", "sys.stderr", "click.echo", "click.secho"}
    ]
    assert printing == []


def test_every_module_says_what_it_is_for():
    silent = [relative(path) for path in MODULES if ast.get_docstring(parsed(path)) is None]
    assert silent == []


def test_the_version_is_said_without_importing_what_is_slow():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stager", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert stager.__version__ in done.stdout
    assert imported & HEAVY == set()


def test_every_library_is_declared_and_every_declared_one_is_used():
    declared = {
        re.match(r"[\w.-]+", line)[0].lower()
        for line in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for path in MODULES
        for node in in_module(path, ast.Import, ast.ImportFrom)
        for alias in node.names
        if isinstance(node, ast.Import) or node.level == 0
    }
    top = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"stager", "_typeshed"}
    packages = importlib.metadata.packages_distributions()
    assert {packages.get(name, [name])[0].lower() for name in top} | PROGRAMS == declared


def test_the_types_are_published():
    assert (PROJECT / "stager/py.typed").is_file()


def test_exit_codes_and_slugs_are_unique():
    raised = [one for one in error_classes() if one is not errors.StagerError]
    codes = [one.exit_code for one in raised]
    slugs = [one.slug for one in raised]
    assert sorted(codes) == sorted(set(codes))
    assert sorted(slugs) == sorted(set(slugs))


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_the_tree_in_the_docstring_shows_every_error_with_its_code(error):
    assert re.search(rf"(?m)^[ │├└─]*{error.__name__} +{error.exit_code}\b", errors.__doc__)


@pytest.mark.parametrize("code", sorted({0, *(error.exit_code for error in error_classes())}))
def test_the_readme_explains_every_exit_code(code):
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^\|\s*`?{code}`?\s*\|", readme), f"README.md has no row for exit code {code}"


def hooks():
    return [
        (name, hook)
        for name, hook in vars(hookspecs).items()
        if name.startswith("stager_") and callable(hook)
    ]


@pytest.mark.parametrize(("name", "hook"), hooks(), ids=[name for name, _ in hooks()])
def test_the_plugin_guide_explains_every_hook_with_its_arguments(name, hook):
    guide = (PROJECT / "docs/plugins.md").read_text(encoding="utf-8")
    assert f"{name}({', '.join(inspect.signature(hook).parameters)})" in guide


def test_there_are_templates():
    # The next test would pass without any.
    assert TEMPLATES


@pytest.mark.parametrize("template", TEMPLATES, ids=relative)
def test_every_value_in_a_template_passes_a_quoting_filter(template):
    from stager import rendering

    unquoted = [
        f"line {value.lineno}"
        for output in jinja2.Environment().parse(template.read_text(encoding="utf-8")).find_all(nodes.Output)
        for value in output.nodes
        if not isinstance(value, nodes.TemplateData)
        and not (isinstance(value, nodes.Filter) and value.name in rendering.QUOTING_FILTERS)
    ]
    assert unquoted == []


def test_decisions_are_numbered_and_listed():
    folder = PROJECT / "docs/decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    assert (
        re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")) == pages
    )


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_pages_name_only_targets_that_make_knows():
    known = set(re.findall(r"(?m)^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8")))
    named = {
        (relative(page), target)
        for page in PAGES
        for target in re.findall(r"(?m)(?:`|^\s*\$? ?)make ([a-z]+)\b", page.read_text(encoding="utf-8"))
    }
    assert {(page, target) for page, target in named if target not in known} == set()


def test_the_changelog_has_the_current_version():
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^## {re.escape(stager.__version__)}\b", text)


@pytest.mark.parametrize(
    ("script", "purposes"), [("install-host-tools", "demo|test|bench"), ("make-venv", "demo|test")]
)
def test_scripts_say_how_they_are_called(script, purposes):
    done = subprocess.run([PROJECT / "scripts" / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"usage: {script} {purposes}\n")
