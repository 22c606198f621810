"""Host tools are found where they are, the best first, and not asked in the environment of the caller."""

from __future__ import annotations

import pytest

from stager.execution import host
from stager.execution.host import ask
from stager.model.host import HostTool, ToolFact


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder in which programs are looked for."""
    path = tmp_path / "only here"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(host, "SBIN", ())
    return path


def program(path, script="exit 0", mode=0o755):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return str(path)


def test_a_missing_tool_is_a_fact_without_a_path(folder):
    assert ask(HostTool("php", "", "php", ("php",))) == ToolFact("php")


def test_a_program_is_found_on_the_path_and_asked_for_its_version(fp, folder):
    path = program(folder / "php8")
    fp.register([path, "-r", "x"], stdout="php=8.2.36\nmore\n")
    tool = HostTool("php", "", "p", ("php8",), version_arguments=("-r", "x"), version_pattern=r"php=(\S+)")
    assert ask(tool) == ToolFact("php", path, "8.2.36", "php=8.2.36\nmore\n", (path,))
    assert fp.call_count([path, "-r", "x"]) == 1


def test_it_is_asked_in_a_clean_environment(folder, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    program(folder / "tool", 'echo "v=$LANG-$SECRET-$PHPRC"')
    tool = HostTool("t", "", "t", ("tool",), version_arguments=("-v",), version_pattern="v=(.*)")
    assert ask(tool).version == "C.UTF-8--"


def test_a_tool_that_fails_or_says_something_else_has_no_version(fp, folder):
    path = program(folder / "tool")
    fp.register([path, "-v"], stdout="what?", returncode=1)
    tool = HostTool("t", "", "t", ("tool",), version_arguments=("-v",), version_pattern=r"version (\d+)")
    assert ask(tool) == ToolFact("t", path, "", "what?", (path,))


def test_the_first_name_is_the_best_and_numbers_count_as_numbers(folder):
    for name in ("php-fpm8.2", "php-fpm8.10", "php-fpm7.4", "php-fpm"):
        program(folder / name)
    tool = HostTool("fpm", "", "", ("php-fpm*.*", "php-fpm"), version_pattern=r"fpm(\d.*)")
    fact = ask(tool)
    names = [path.rpartition("/")[2] for path in fact.matches]
    assert names == ["php-fpm8.10", "php-fpm8.2", "php-fpm7.4", "php-fpm"]
    assert (fact.path, fact.version) == (fact.matches[0], "8.10")


def test_what_cannot_be_run_is_no_program(folder):
    program(folder / "tool", mode=0o644)
    (folder / "tool2").mkdir()
    assert not ask(HostTool("t", "", "t", ("tool", "tool2", "tool*"))).is_present


def test_the_sbin_folders_are_looked_into_after_the_path(tmp_path, folder, monkeypatch):
    sbin = tmp_path / "sbin"
    sbin.mkdir()
    monkeypatch.setattr(host, "SBIN", (str(sbin), str(folder)))
    second = program(sbin / "tool")
    first = program(folder / "tool")
    assert ask(HostTool("t", "", "t", ("tool",))).matches == (first, second)


def test_a_relative_folder_of_the_path_is_not_looked_into(tmp_path, folder, monkeypatch):
    program(folder / "tool")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", ".:")
    assert not ask(HostTool("t", "", "t", ("tool",))).is_present


def test_files_are_found_by_pattern_newest_first_with_the_version_of_their_path(tmp_path):
    for name in ("libphp8.2.so", "libphp8.10.so"):
        (tmp_path / name).touch()
    pattern = f"{tmp_path}/libphp*.so"
    fact = ask(HostTool("mod", "", "m", files=(pattern,), version_pattern=r"libphp(.*)\.so"))
    assert fact.path == f"{tmp_path}/libphp8.10.so"
    assert fact.version == "8.10"
    assert fact.matches == (f"{tmp_path}/libphp8.10.so", f"{tmp_path}/libphp8.2.so")


def test_each_of_several_may_be_asked_but_no_shim_and_no_program_twice(fp, tmp_path, monkeypatch):
    folders = {name: tmp_path / name for name in ("shims", "usr", "opt")}
    for folder in folders.values():
        folder.mkdir()
        program(folder / "python3.9")
    (folders["opt"] / "python3.10").symlink_to("python3.9")
    monkeypatch.setenv("PATH", ":".join(map(str, folders.values())))
    monkeypatch.setattr(host, "SBIN", ())
    usr, opt = (f"{folders[name]}/python3.9" for name in ("usr", "opt"))
    fp.register([usr, "-V"], stdout="Python 3.9.2\n")
    fp.register([f"{folders['opt']}/python3.10", "-V"], stdout="nonsense\n")
    tool = HostTool(
        "python", "", "p", ("python3.10", "python3.9"), version_arguments=("-V",),
        version_pattern=r"Python (\S+)", is_each_asked=True,
    )  # fmt: skip
    fact = ask(tool)
    assert fact.matches == (f"{folders['opt']}/python3.10", usr)
    assert fact.versions == ("", "3.9.2")
    assert opt not in fact.matches


def test_where_there_are_only_shims_they_are_taken(fp, tmp_path, monkeypatch):
    folder = tmp_path / "shims"
    folder.mkdir()
    path = program(folder / "node")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(host, "SBIN", ())
    fp.register([path, "-v"], stdout="v20\n")
    tool = HostTool(
        "node", "", "p", ("node",), version_arguments=("-v",), version_pattern=r"v(\d+)", is_each_asked=True
    )
    assert ask(tool).versions == ("20",)
