"""composer.json, composer.lock, vendor/: what is read, what is refused, what is installed."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.plugins.php.content_hash import content_hash
from stager.plugins.php.install import install_steps, installed_directories, is_installed
from stager.plugins.php.manifest import Composer, read_composer
from stager.source.tree import Tree

FIXTURE = Path(__file__).parents[3] / "fixtures/php_composer"

MANIFESTS = (
    {},
    {"name": "a/b", "require": {}},
    {"name": "ü/ñ", "extra": {"text": 'tab\t "quote" \\ / \x7f \x01 <>&\' \u2028 😀'}},
    {
        "extra": {
            "list": {"0": "a", "1": "b"},
            "none": {"1": "a"},
            "mixed": {"a": None, "b": True, "c": 12, "d": []},
        }
    },
    {"repositories": {"packagist.org": False}, "config": {"platform": {"php": "8.1"}}, "description": "no"},
    {"config": {"platform": {}}, "require-dev": {"d/d": "3"}, "prefer-stable": True},
    {"config": [], "minimum-stability": "dev", "version": "1.0", "scripts": {"x": "y"}},
    {"config": {"platform": None}, "name": None, "conflict": {"c/c": "2"}, "provide": {"p/p": "1"}},
)


def read(root, manifest, lock=None):
    root.mkdir(exist_ok=True)
    if manifest is not None:
        (root / "composer.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    if lock is not None:
        (root / "composer.lock").write_text(lock if isinstance(lock, str) else json.dumps(lock))
    return read_composer(Tree.of_directory(root))


def test_a_tree_without_composer_json_has_nothing_to_say(tmp_path):
    assert read(tmp_path, None, "{") is None


@pytest.mark.parametrize(
    ("text", "details"),
    [
        (
            '{\n  "require": {,}\n}',
            "composer.json, line 2, column 15: Expecting property name enclosed in double quotes",
        ),
        ("", "composer.json, line 1, column 1: Expecting value"),
        ("[1]", "composer.json, line 1, column 1: an object was expected, as in {…}"),
        ('{"a": NaN}', "composer.json, NaN is no JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(tmp_path, text, details):
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    assert (raised.value.brief, raised.value.details) == ("composer.json is not valid JSON.", details)


def test_bytes_that_are_no_utf8_are_refused_with_their_place(tmp_path):
    (tmp_path / "composer.json").write_bytes(b'{\n"name": "\xff"}')
    with pytest.raises(ConfigurationError) as raised:
        read_composer(Tree.of_directory(tmp_path))
    assert raised.value.details == "composer.json, line 2, column 10: not UTF-8"


def test_a_broken_lock_is_named_as_such(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, {}, "{]")
    assert raised.value.brief == "composer.lock is not valid JSON."


def test_a_lock_without_packages_is_no_lock(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, {}, {"content-hash": "x"})
    assert raised.value.brief == "composer.lock has no list of packages."


def test_a_lock_of_another_composer_json_is_out_of_date(tmp_path):
    manifest = {"name": "a/b", "require": {"x/y": "^1"}}
    lock = {"packages": [], "content-hash": content_hash(manifest)}
    assert read(tmp_path / "fresh", {**manifest, "description": "changes nothing"}, lock).lock == lock
    with pytest.raises(ConflictingLockFiles) as raised:
        read(tmp_path / "stale", {**manifest, "require": {"x/y": "^2"}}, lock)
    assert raised.value.exit_code == 33
    assert raised.value.brief == "composer.lock is out of date: composer.json has changed since it was made."
    assert "composer update --lock" in raised.value.resolution


@pytest.mark.skipif(not shutil.which("composer"), reason="Composer's own hash is asked for")
def test_the_hash_is_composers_own(tmp_path):
    for number, manifest in enumerate(MANIFESTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        text = json.dumps(manifest, ensure_ascii=bool(number % 2))
        (folder / "composer.json").write_text(text, encoding="utf-8")
    script = tmp_path / "hash.php"
    script.write_text(
        "<?php spl_autoload_register(function ($class) {"
        "  $file = '/usr/share/php/' . strtr($class, '\\\\', '/') . '.php';"
        "  if (is_file($file)) require $file; });"
        "if (!class_exists('Composer\\\\Package\\\\Locker')) exit(3);"
        "foreach (array_slice($argv, 1) as $file)"
        "  echo Composer\\Package\\Locker::getContentHash(file_get_contents($file)), PHP_EOL;"
    )
    files = [tmp_path / str(number) / "composer.json" for number in range(len(MANIFESTS))]
    clean = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["php", script, *files], capture_output=True, text=True, env=clean, check=False)
    if done.returncode == 3:
        pytest.skip("Composer's classes are not where Debian has them")
    assert done.stdout.split() == [content_hash(manifest) for manifest in MANIFESTS]


def test_where_php_may_write_a_number_otherwise_no_lock_is_called_stale(tmp_path):
    manifest = {"extra": {"ratio": 0.1}}
    assert content_hash(manifest) is None
    assert read(tmp_path, manifest, {"packages": [], "content-hash": "0" * 32}) is not None


@pytest.mark.parametrize("place", ["../vendor", "/srv/vendor", "$HOME/vendor", "a//b", "./vendor"])
def test_packages_outside_the_application_are_refused(tmp_path, place):
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, {"config": {"vendor-dir": place}})
    assert (
        raised.value.brief
        == f"composer.json, config.vendor-dir: {place!r} is not a folder of the application."
    )


def test_a_locked_application_is_installed_by_composer():
    source = Tree.of_directory(FIXTURE)
    settle, install = install_steps(source, read_composer(source))
    hash_ = json.loads((FIXTURE / "composer.lock").read_text())["content-hash"]
    assert settle.arguments[-2:] == ("autoloader-suffix", hash_)
    assert install.tool == "composer"
    assert install.arguments[:5] == (
        "install", "--no-dev", "--prefer-dist", "--no-interaction", "--optimize-autoloader",
    )  # fmt: skip
    assert install.outputs == ("app/vendor",)
    assert install.inputs == (
        "composer.json", "composer.lock", "packages/clock", "artifacts/greeting-1.2.0.zip", "src",
    )  # fmt: skip
    assert install.environment["COMPOSER_CACHE_DIR"] == "{cache}/composer/cache"
    assert install.environment["COMPOSER_HOME"] == settle.environment["COMPOSER_HOME"]
    assert install.offline_environment == {"COMPOSER_DISABLE_NETWORK": "1"}
    assert install.offline_needs == ()


def package(name, **more):
    return {"name": name, "version": "1.0", **more}


def test_offline_every_package_of_a_server_has_to_be_in_the_cache(tmp_path):
    url = "https://example.org/x.zip"
    composer = Composer(
        {},
        {
            "packages": [
                package("far/zip", dist={"type": "zip", "url": url}),
                package("near/zip", dist={"type": "zip", "url": "artifacts/a.zip"}),
                package("near/path", dist={"type": "path", "url": "../lib"}),
                package("only/git", source={"type": "git", "url": "https://example.org/only.git"}),
                package("meta/package", type="metapackage"),
            ]
        },
    )
    _, install = install_steps(Tree.of_directory(tmp_path), composer)
    digest = hashlib.sha1(url.encode()).hexdigest()
    assert [(item.name, item.path) for item in install.offline_needs] == [
        ("far/zip 1.0", f"composer/cache/files/far/zip/{digest}.zip"),
        ("only/git 1.0", "composer/cache/vcs/https---example.org-only.git"),
    ]


def vendored(root, *, installed, autoload=True, folders=("a/a", "b/b")):
    (root / "vendor/composer").mkdir(parents=True)
    for folder in folders:
        (root / "vendor" / folder).mkdir(parents=True)
    (root / "vendor/composer/installed.json").write_text(json.dumps(installed))
    if autoload:
        (root / "vendor/autoload.php").write_text("<?php")
    return Tree.of_directory(root), Composer({}, {"packages": [package("a/a"), package("b/b")]})


BOTH = [package("a/a"), package("b/b"), package("dev/tool")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"installed": {"packages": BOTH}}, True),
        ({"installed": BOTH}, True),
        ({"installed": {"packages": BOTH[:1]}}, False),
        ({"installed": {"packages": [package("a/a"), {"name": "b/b", "version": "2.0"}]}}, False),
        ({"installed": {"packages": BOTH}, "autoload": False}, False),
        ({"installed": {"packages": BOTH}, "folders": ("a/a",)}, False),
        ({"installed": "nonsense"}, False),
    ],
)
def test_vendor_is_used_as_it_came_only_where_it_is_complete(tmp_path, options, expected):
    source, composer = vendored(tmp_path, **options)
    assert is_installed(source, composer) is expected
    assert bool(install_steps(source, composer)) is not expected


def test_without_a_lock_nothing_is_installed(tmp_path):
    composer = Composer({"require": {"a/a": "*"}})
    assert install_steps(Tree.of_directory(tmp_path), composer) == ()


def test_a_name_for_the_autoloader_in_composer_json_is_kept():
    composer = Composer({"config": {"autoloader-suffix": "Mine"}}, {"packages": []})
    assert [step.name for step in install_steps(Tree.of_directory(FIXTURE), composer)] == ["composer install"]


def test_scripts_may_read_anything():
    source = Tree.of_directory(FIXTURE)
    composer = Composer({"scripts": {"post-install-cmd": "@php x.php"}}, {"packages": []})
    assert install_steps(source, composer)[1].inputs == ("",)


def test_all_folders_that_an_install_makes_are_its_outputs():
    composer = Composer(
        {
            "config": {"vendor-dir": "lib/vendor", "bin-dir": "tools"},
            "extra": {
                "installer-paths": {"web/core": [], "web/modules/contrib/{$name}": [], "../out/{$name}": []},
                "drupal-scaffold": {"locations": {"web-root": "web/"}},
            },
        },
        {"packages": []},
    )
    assert installed_directories(composer) == ("lib/vendor", "tools", "web")
