"""What counts as an application in PHP, and what is only nearly one."""

from pathlib import Path

import pytest

from stager.model.detection import Strength
from stager.plugins.php.buildpack import PhpBuildpack
from stager.source.tree import Tree

FIXTURES = Path(__file__).parents[3] / "fixtures"


def detect(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    return PhpBuildpack().detect(Tree.of_directory(root))


@pytest.mark.parametrize(
    ("paths", "strength", "evidence"),
    [
        (["composer.json"], Strength.STRONG, ("composer.json",)),
        (["index.php"], Strength.STRONG, ("index.php",)),
        (["public/index.php"], Strength.STRONG, ("public/index.php",)),
        (["webroot/index.php", "composer.json"], Strength.STRONG, ("composer.json", "webroot/index.php")),
        (["htdocs/index.php"], Strength.STRONG, ("htdocs/index.php",)),
        (["start.php", "about.php"], Strength.LIKELY, ("about.php", "start.php")),
        (["lib/deep/one.php"], Strength.WEAK, ("lib/deep/one.php, below the root",)),
        (["package.json", "server.js", "tool.php"], Strength.WEAK, ("tool.php, beside package.json",)),
        (["manage.py", "lib/tool.php"], Strength.WEAK, ("lib/tool.php, beside manage.py",)),
        (["composer.json", "package.json"], Strength.STRONG, ("composer.json",)),
        (["index.php", "package.json"], Strength.STRONG, ("index.php",)),
        (["index.html", "a.js"], Strength.NONE, ()),
        ([], Strength.NONE, ()),
    ],
)
def test_the_strength_follows_from_the_files(tmp_path, paths, strength, evidence):
    found = detect(tmp_path, *paths)
    assert (found.strength, found.evidence) == (strength, evidence)


def test_files_of_installed_packages_are_no_evidence(tmp_path):
    assert detect(tmp_path, "vendor/x/index.php", "node_modules/y/z.php").strength == Strength.NONE


@pytest.mark.parametrize(
    ("paths", "near_miss"),
    [
        (["Composer.json"], "Composer.json: did you mean composer.json?"),
        (["Index.PHP"], "Index.PHP: did you mean index.php?"),
        (["composer.lock"], "composer.lock: composer.json is missing"),
        (["app-main/index.php"], "app-main/index.php: is app-main/ the application's root?"),
        (["start.php5"], "start.php5: pages are found by .php"),
    ],
)
def test_what_is_nearly_one_is_said(tmp_path, paths, near_miss):
    assert near_miss in detect(tmp_path, *paths).near_misses


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "htaccess",
        "laravel",
        "symfony",
        "wordpress",
        "drupal",
        "cakephp",
        "slim",
        "composer",
        "settings",
    ],
)
def test_the_kinds_of_applications_are_all_strong(name):
    found = PhpBuildpack().detect(Tree.of_directory(FIXTURES / f"php_{name}"))
    assert found.strength == Strength.STRONG


def test_a_stray_file_in_a_node_tree_is_weak():
    found = PhpBuildpack().detect(Tree.of_directory(FIXTURES / "php_in_node"))
    assert found.strength == Strength.WEAK


def test_an_application_one_folder_down_is_found_nearly():
    found = PhpBuildpack().detect(Tree.of_directory(FIXTURES / "php_one_folder_down"))
    assert found.strength == Strength.WEAK
    assert found.near_misses == ("app-main/composer.json: is app-main/ the application's root?",)
