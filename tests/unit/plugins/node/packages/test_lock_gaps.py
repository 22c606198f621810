"""Packages of packages that a package-lock.json lacks."""

from __future__ import annotations

import json

from stager.plugins.node.packages.commands import commands_of
from stager.plugins.node.packages.lock_gaps import Gap, find_gaps
from stager.plugins.node.packages.locks import find_lock
from stager.plugins.node.packages.managers import choose_package_manager
from stager.plugins.node.reading.manifest import read_package
from stager.source.tree import Tree

ROLLUP = {"version": "4.0.0", "optionalDependencies": {"@rollup/linux": "4.0.0", "@rollup/windows": "4.0.0"}}


def tree(tmp_path, packages):
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"rollup": "^4.0.0"}}))
    root = {"": {"dependencies": {"rollup": "^4.0.0"}}}
    document = {"lockfileVersion": 3, "packages": {**root, **packages}}
    (tmp_path / "package-lock.json").write_text(json.dumps(document))
    return Tree.of_directory(tmp_path)


def gaps(tmp_path, packages):
    source = tree(tmp_path, packages)
    return find_gaps(source, find_lock(source, ""))


def test_a_complete_lock_has_none(tmp_path):
    here = {
        "node_modules/rollup": ROLLUP,
        "node_modules/@rollup/linux": {},
        "node_modules/@rollup/windows": {},
    }
    assert gaps(tmp_path, here) == ()


def test_what_is_locked_further_down_is_found_as_node_finds_it(tmp_path):
    here = {
        "node_modules/rollup": ROLLUP,
        "node_modules/rollup/node_modules/@rollup/linux": {"dependencies": {"rollup": "4"}},
        "node_modules/@rollup/windows": {},
    }
    assert gaps(tmp_path, here) == ()


def test_packages_for_other_systems_that_are_missing_are_named(tmp_path):
    here = {"node_modules/rollup": ROLLUP, "node_modules/@rollup/linux": {}}
    assert gaps(tmp_path, here) == (Gap("@rollup/windows", "rollup"),)


def test_what_a_package_brings_in_its_own_archive_is_not_looked_for(tmp_path):
    bundled = {"node_modules/rollup": {**ROLLUP, "inBundle": True}}
    assert gaps(tmp_path, bundled) == ()


def test_what_npm_ci_would_refuse_npm_install_completes(tmp_path):
    source = tree(tmp_path, {"node_modules/rollup": ROLLUP, "node_modules/@rollup/linux": {}})
    package = read_package(source)
    assert package is not None
    manager = choose_package_manager(source, package)
    assert commands_of(manager, "npm", "node").install == ("install", "--no-save", "--include=dev")
    (warning,) = manager.warnings
    assert "lacks @rollup/windows that rollup may need" in warning
    assert "rm -rf node_modules package-lock.json && npm install" in warning


def test_a_lock_that_cannot_be_read_is_somebody_elses_to_refuse(tmp_path):
    source = tree(tmp_path, {})
    (tmp_path / "package-lock.json").write_text('{"packages": [')
    assert find_gaps(source, find_lock(source, "")) == ()
