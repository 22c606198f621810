"""Which package manager installs, and which locks are refused before anything runs."""

import json
from pathlib import Path

import pytest

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.plugins.node.packages.came_along import read_came_along
from stager.plugins.node.packages.lock_differences import refuse_outdated
from stager.plugins.node.packages.managers import BUN, PNPM_10, YARN_1, choose_package_manager
from stager.plugins.node.packages.npmrc import read_secrets, secret_advice
from stager.plugins.node.reading.manifest import read_package
from stager.plugins.node.reading.workspaces import workspace_packages
from stager.source.tree import Tree


def tree(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return Tree.of_directory(root)


def chosen(root, files, **package):
    source = tree(root, {"package.json": package, **files})
    return choose_package_manager(source, read_package(source))


def checked(root, lock, package, members=None):
    """Refuses, or not, a lock of ``package`` and of the packages in some folders."""
    manifests = {f"{folder}/package.json": one for folder, one in (members or {}).items()}
    source = tree(root, {"package.json": package, **manifests, **lock})
    root_package = read_package(source)
    manager = choose_package_manager(source, root_package)
    refuse_outdated(source, manager.lock, root_package, workspace_packages(source, root_package))
    return manager


YARN_LOCK = '# yarn lockfile v1\n\n\nms@^2.0.0, ms@^2.1.0:\n  version "2.1.3"\n'
BERRY_LOCK = """__metadata:
  version: 8
  cacheKey: 10c0

"a@workspace:.":
  version: 0.0.0-use.local
  resolution: "a@workspace:."
  dependencies:
    ms: "npm:^2.1.0"
  languageName: unknown
  linkType: soft
"""
PNPM_LOCK = """lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      ms:
        specifier: ^2.1.0
        version: 2.1.3

packages: {}
"""
BUN_LOCK = """{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "a",
      "dependencies": {
        "ms": "^2.1.0",
      },
    },
  },
  "packages": {
    "ms": ["ms@2.1.3", "", {}, "sha512-,]=="],
  }
}
"""


def npm_lock(version="2.1.3", asked="^2.1.0"):
    packages = {"": {"dependencies": {"ms": asked}}, "node_modules/ms": {"version": version}}
    return {"lockfileVersion": 3, "packages": packages}


LOCKS = {
    "npm": {"package-lock.json": npm_lock()},
    "yarn": {"yarn.lock": YARN_LOCK},
    "berry": {"yarn.lock": BERRY_LOCK},
    "pnpm": {"pnpm-lock.yaml": PNPM_LOCK},
    "bun": {"bun.lock": BUN_LOCK},
}


@pytest.mark.parametrize(
    ("files", "shown", "distribution"),
    [
        ({}, "npm", ""),
        ({"package-lock.json": "{}"}, "npm", ""),
        ({"npm-shrinkwrap.json": "{}"}, "npm", ""),
        ({"yarn.lock": YARN_LOCK}, f"yarn {YARN_1}", f"yarn@{YARN_1}"),
        ({"yarn.lock": "__metadata:\n  version: 6\n"}, "yarn 3.8.7", "@yarnpkg/cli-dist@3.8.7"),
        ({"yarn.lock": BERRY_LOCK}, "yarn 4.9.4", "@yarnpkg/cli-dist@4.9.4"),
        ({"yarn.lock": "__metadata:\n  version: 10\n"}, "yarn 4.18.1", "@yarnpkg/cli-dist@4.18.1"),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm 7.33.7", "pnpm@7.33.7"),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm 8.15.9", "pnpm@8.15.9"),
        ({"pnpm-lock.yaml": PNPM_LOCK}, "pnpm 9.15.9", "pnpm@9.15.9"),
        ({"pnpm-workspace.yaml": "packages: [a]\n"}, f"pnpm {PNPM_10}", f"pnpm@{PNPM_10}"),
        ({"bun.lock": BUN_LOCK}, f"bun {BUN}", f"bun@{BUN}"),
        ({"bun.lockb": "\0"}, f"bun {BUN}", f"bun@{BUN}"),
    ],
)
def test_a_lock_says_which_manager_and_which_version_installs(files, shown, distribution, tmp_path):
    manager = chosen(tmp_path, files)
    assert (manager.shown, manager.distribution) == (shown, distribution)


def test_settings_of_pnpm_10_in_its_workspace_file_mean_pnpm_10(tmp_path):
    files = {"pnpm-lock.yaml": PNPM_LOCK, "pnpm-workspace.yaml": "onlyBuiltDependencies: [esbuild]\n"}
    assert chosen(tmp_path, files).version == PNPM_10


def test_the_exact_version_and_the_digest_of_package_manager_count(tmp_path):
    manager = chosen(tmp_path, {}, packageManager="pnpm@9.1.2+sha512.ABcd")
    assert (manager.distribution, manager.algorithm, manager.digest) == ("pnpm@9.1.2", "sha512", "abcd")
    assert "packageManager" in manager.why


def test_yarn_of_the_application_itself_is_used(tmp_path):
    files = {
        "yarn.lock": BERRY_LOCK,
        ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.1.cjs\n",
        ".yarn/releases/yarn-4.5.1.cjs": "",
    }
    manager = chosen(tmp_path, files)
    assert (manager.release, manager.version) == (".yarn/releases/yarn-4.5.1.cjs", "4.5.1")
    assert manager.distribution == ""


def test_a_yarn_that_should_have_come_along_is_missed(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no such file"):
        chosen(tmp_path, {".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.1.cjs\n"})


def test_two_locks_are_refused_with_the_commands_that_end_it(tmp_path):
    with pytest.raises(ConflictingLockFiles) as caught:
        chosen(tmp_path, {"package-lock.json": "{}", "yarn.lock": YARN_LOCK})
    assert caught.value.exit_code == 33
    assert "git rm yarn.lock" in caught.value.resolution
    assert "git rm package-lock.json" in caught.value.resolution


def test_package_manager_says_which_of_two_locks_has_to_go(tmp_path):
    with pytest.raises(ConflictingLockFiles) as caught:
        chosen(tmp_path, {"package-lock.json": "{}", "yarn.lock": YARN_LOCK}, packageManager="yarn@1.22.22")
    assert caught.value.resolution.endswith("git rm package-lock.json")


def test_two_locks_of_one_manager_are_no_conflict(tmp_path):
    manager = chosen(tmp_path, {"package-lock.json": "{}", "npm-shrinkwrap.json": "{}"})
    assert manager.lock.path == "npm-shrinkwrap.json"
    assert any("git rm package-lock.json" in note for note in manager.warnings)


@pytest.mark.parametrize(
    ("files", "named", "says"),
    [
        ({"package-lock.json": "{}"}, "pnpm@9.15.9", "package-lock.json is of npm"),
        ({"yarn.lock": BERRY_LOCK}, "yarn@1.22.22", "yarn.lock is of yarn 2 or later"),
        ({"yarn.lock": YARN_LOCK}, "yarn@4.9.4", "yarn.lock is of yarn 1"),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm@10.0.0", "pnpm-lock.yaml is of pnpm 8"),
        ({"pnpm-lock.yaml": PNPM_LOCK}, "pnpm@8.15.9", "pnpm-lock.yaml is of pnpm 9"),
    ],
)
def test_a_package_manager_that_does_not_read_the_lock_is_refused(files, named, says, tmp_path):
    with pytest.raises(ConflictingLockFiles, match=says):
        chosen(tmp_path, files, packageManager=named)


def test_an_unknown_package_manager_is_refused_and_a_loose_version_warned_of(tmp_path):
    with pytest.raises(ConfigurationError, match="names no known package manager"):
        chosen(tmp_path, {}, packageManager="cnpm@9")
    assert any("no exact version" in note for note in chosen(tmp_path, {}, packageManager="npm@10").warnings)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_agrees_is_taken(name, tmp_path):
    checked(tmp_path, LOCKS[name], {"name": "a", "dependencies": {"ms": "^2.1.0"}})


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_asked_for_and_not_locked_is_shown_with_its_line(name, tmp_path):
    package = {"name": "a", "dependencies": {"ms": "^2.1.0"}, "devDependencies": {"mocha": "^10.0.0"}}
    with pytest.raises(ConflictingLockFiles) as caught:
        checked(tmp_path, LOCKS[name], package)
    assert caught.value.exit_code == 33
    assert caught.value.slug == "lock-file-outdated"
    assert "package.json line 7 asks for mocha ^10.0.0" in caught.value.details
    assert "has none" in caught.value.details
    assert "install" in caught.value.resolution


@pytest.mark.parametrize("name", LOCKS)
def test_another_range_than_the_locked_one_is_shown(name, tmp_path):
    with pytest.raises(ConflictingLockFiles) as caught:
        checked(tmp_path, LOCKS[name], {"name": "a", "dependencies": {"ms": "^3.0.0"}})
    assert "asks for ms ^3.0.0" in caught.value.details
    assert "2.1" in caught.value.details


def test_npm_takes_a_range_in_other_words_that_the_locked_version_satisfies(tmp_path):
    checked(tmp_path, LOCKS["npm"], {"dependencies": {"ms": "~2.1.2"}})


@pytest.mark.parametrize(
    "asked", ["latest", "npm:ms@2", "github:vercel/ms", "file:../ms", "https://x/ms.tgz", ""]
)
def test_npm_itself_compares_what_is_no_range(asked, tmp_path):
    checked(tmp_path, LOCKS["npm"], {"dependencies": {"ms": asked}})


def test_packages_of_npm_6_are_compared_too(tmp_path):
    lock = {"package-lock.json": {"lockfileVersion": 1, "dependencies": {"ms": {"version": "2.1.3"}}}}
    checked(tmp_path, lock, {"dependencies": {"ms": "^2.0.0"}})
    with pytest.raises(ConflictingLockFiles, match="not up to date"):
        checked(tmp_path, lock, {"dependencies": {"ms": "^1.0.0"}})


def test_a_workspace_that_asks_for_more_than_is_locked_is_named(tmp_path):
    packages = {
        "": {"workspaces": ["apps/*"]},
        "apps/web": {"dependencies": {}},
        "node_modules/web": {"resolved": "apps/web", "link": True},
    }
    with pytest.raises(ConflictingLockFiles) as caught:
        checked(
            tmp_path,
            {"package-lock.json": {"lockfileVersion": 3, "packages": packages}},
            {"workspaces": ["apps/*"]},
            {"apps/web": {"name": "web", "dependencies": {"ms": "^2"}}},
        )
    assert "apps/web/package.json line 4 asks for ms ^2" in caught.value.details


def test_a_merge_conflict_in_a_lock_is_found(tmp_path):
    with pytest.raises(ConfigurationError, match=r"yarn\.lock line 4: a merge conflict"):
        chosen(tmp_path, {"yarn.lock": "# yarn lockfile v1\n\n\n<<<<<<< HEAD\n"})


def test_a_lock_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"package-lock\.json is not valid JSON"):
        checked(tmp_path, {"package-lock.json": '{"lockfileVersion": 3,'}, {"dependencies": {"ms": "1"}})


def hidden(version="2.1.3"):
    return {"packages": {"node_modules/ms": {"version": version}}}


@pytest.mark.parametrize(("version", "is_used"), [("2.1.3", True), ("2.0.0", False)])
def test_packages_that_came_along_are_used_if_they_are_the_locked_ones(version, is_used, tmp_path):
    source = tree(
        tmp_path,
        {
            "package.json": {"dependencies": {"ms": "^2.0.0"}},
            "package-lock.json": npm_lock(),
            "node_modules/.package-lock.json": hidden(version),
            "node_modules/ms/package.json": {},
        },
    )
    package = read_package(source)
    came = read_came_along(source, choose_package_manager(source, package).lock, package)
    assert (came.is_there, came.is_used) == (True, is_used)


def test_native_code_that_came_along_is_found_but_for_what_is_prebuilt(tmp_path):
    source = tree(
        tmp_path,
        {
            "package.json": {"dependencies": {"a": "1"}},
            "node_modules/a/build/Release/a.node": "x",
            "node_modules/@s/b/binding.gyp": "{}",
            "node_modules/c/prebuilds/linux-x64/c.node": "x",
            "node_modules/d/node_modules/e/e.node": "x",
        },
    )
    package = read_package(source)
    came = read_came_along(source, choose_package_manager(source, package).lock, package)
    assert came.native == ("@s/b", "a", "e")


def test_secrets_in_settings_are_found_with_their_variables(tmp_path):
    source = tree(
        tmp_path,
        {
            ".npmrc": "registry=https://r.example\n//r.example/:_authToken=${NPM_TOKEN}\n; _auth=no\n",
            ".yarnrc.yml": 'npmScopes:\n  x:\n    npmAuthToken: "abc"\n',
        },
    )
    secrets = read_secrets(source)
    assert [(one.path, one.line, one.variables) for one in secrets] == [
        (".npmrc", 2, ("NPM_TOKEN",)),
        (".yarnrc.yml", 3, ()),
    ]
    notes = "\n".join(secret_advice(secrets, {}))
    assert "--build-env NPM_TOKEN=" in notes
    assert ".yarnrc.yml line 3 holds a secret in plain text" in notes
    assert "abc" not in notes
    assert len(secret_advice(secrets, {"NPM_TOKEN": "t"})) == 1


def test_settings_without_secrets_are_left_alone(tmp_path):
    source = tree(tmp_path, {".npmrc": "save-exact=true\n//r.example/:always-auth=true\n"})
    assert read_secrets(source) == ()
    assert Path(source.root, ".npmrc").is_file()
