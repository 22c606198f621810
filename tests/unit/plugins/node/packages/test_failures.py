"""What managers print when they fail, word for word, and what the user is told then."""
# ruff: noqa: E501  (texts and locks as they are written by others)

import re

import pytest

from stager.plugins.node.packages.failures import BUILD_FAILURES, INSTALL_FAILURES


def told(failures, text, *, is_offline=False):
    """The brief of the first failure that matches, with its resolution; as the core does it."""
    for known in failures:
        found = re.search(known.pattern, text)
        if found and (is_offline or not known.is_offline):
            groups = {key: value or "" for key, value in found.groupdict().items()}
            groups["where"] = "package.json line 3"
            return known.brief.format_map(groups), known.resolution.format_map(groups)
    return "", ""


HEAP = " 2: 0xb8f 3: v8::internal::Heap::CollectGarbage(v8::internal::AllocationSpace) [node]\nAborted"
GYP = """npm error /usr/include/node/node_api.h:1:2: note: here
npm error ../t.c:3:10: error: 'nope' undeclared (first use in this function)
npm error make: *** [tiny.target.mk:112: Release/obj.target/tiny/t.o] Error 1
npm error gyp ERR! build error
npm error gyp ERR! stack Error: `make` failed with exit code: 2"""

INSTALLING = {
    "npm: no package": (
        "npm error code E404\nnpm error 404 Not Found - GET https://registry.npmjs.org/nope-ffq\nnpm error 404\n",
        "There is no package nope-ffq in the registry",
    ),
    "npm: versions that cannot be had together": (
        (
            "npm error code ERESOLVE\nnpm error ERESOLVE could not resolve\nnpm error\n"
            "npm error While resolving: shop@1.0.0\nnpm error Found: react@19.2.0\nnpm error node_modules/react\n"
            'npm error   react@"^19.0.0" from the root project\nnpm error   peer react@">=16" from swr@2.0.0\n'
            "npm error\nnpm error Could not resolve dependency:\n"
            'npm error peer react@"^17.0.0" from old-table@3.0.0\nnpm error node_modules/old-table\n'
            "npm error\nnpm error Fix the upstream dependency conflict, or retry\n"
        ),
        'cannot be had together: react@19.2.0 is there, and peer react@"^17.0.0" from old-table@3.0.0',
    ),
    "npm: versions that cannot be had together, of a peer's peer": (
        (
            "npm error code ERESOLVE\nnpm error ERESOLVE could not resolve\nnpm error\n"
            "npm error While resolving: shop@1.0.0\nnpm error Found: a@1.1.0\nnpm error node_modules/a\n"
            'npm error   a@"^1.0.0" from the root project\nnpm error\nnpm error Could not resolve dependency:\n'
            'npm error b@"^1.0.0" from the root project\nnpm error\n'
            "npm error Conflicting peer dependency: a@1.0.0\nnpm error node_modules/a\n"
            'npm error   peer a@"1.0.0" from b@1.0.0\nnpm error   node_modules/b\n'
        ),
        'cannot be had together: a@1.1.0 is there, and peer a@"1.0.0" from b@1.0.0',
    ),
    "npm: no package with a scope": (
        "npm error 404 Not Found - GET https://registry.npmjs.org/@a%2fb - Not found\nnpm error 404\n",
        "There is no package @a%2fb in the registry",
    ),
    "npm 8: no package": (
        "npm ERR! 404 Not Found - GET https://registry.npmjs.org/nope-ffq - Not found\nnpm ERR! 404 \n",
        "There is no package nope-ffq in the registry",
    ),
    "yarn 1: no package": (
        'error Couldn\'t find package "nope-ffq" on the "npm" registry.',
        "There is no package nope-ffq in the registry",
    ),
    "yarn 4: no package": (
        "➤ YN0035: │ nope-ffq@npm:^1.0.0: Package not found\n➤ YN0035: │   Response Code: 404 (Not Found)",
        "There is no package nope-ffq in the registry",
    ),
    "pnpm: no package": (
        " ERR_PNPM_FETCH_404  GET https://registry.npmjs.org/nope-ffq: Not Found - 404\n",
        "There is no package nope-ffq in the registry",
    ),
    "bun: no package": (
        "error: GET https://registry.npmjs.org/nope-ffq - 404\nerror: nope-ffq@^1.0.0 failed to resolve",
        "There is no package nope-ffq in the registry",
    ),
    "npm: no version": (
        "npm error code ETARGET\nnpm error notarget No matching version found for ms@^99.0.0.\nnpm error notarget In",
        "The registry has no ms ^99.0.0 ",
    ),
    "yarn 1: no version": (
        'error Couldn\'t find any versions for "ms" that matches "^99.0.0"',
        "The registry has no ms ^99.0.0 ",
    ),
    "yarn 4: no version": (
        "➤ YN0082: │ ms@npm:^99.0.0: No candidates found",
        "The registry has no ms ^99.0.0 ",
    ),
    "pnpm: no version": (
        " ERR_PNPM_NO_MATCHING_VERSION  No matching version found for ms@^99.0.0\n\nThis error happened",
        "The registry has no ms ^99.0.0 ",
    ),
    "bun: no version": (
        'error: No version matching "^99.0.0" found for specifier "ms" (but package exists)',
        "The registry has no ms ^99.0.0 ",
    ),
    "npm: git": (
        "npm error fatal: unable to access 'https://nowhere.invalid/ms.git/': Could not resolve host: nowhere.invalid",
        "A package comes from https://nowhere.invalid/ms.git/, which this host cannot reach.",
    ),
    "npm: no git": (
        "npm error code ENOENT\nnpm error syscall spawn git\nnpm error spawn git ENOENT",
        "this host has no git",
    ),
    "npm: lock": (
        (
            "npm error code EUSAGE\nnpm error\nnpm error `npm ci` can only install packages when your package.json and "
            "package-lock.json are in sync.\nnpm error\nnpm error Missing: ms@2.1.3 from lock file\n"
        ),
        "Missing: ms@2.1.3 from lock file",
    ),
    "yarn 1: lock": (
        "error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.",
        "The lock file is not up to date",
    ),
    "yarn 4: lock": (
        "➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.",
        "The lock file is not up to date",
    ),
    "pnpm: lock": (" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with", "The lock file is not up to date"),
    "bun: lock": ("error: lockfile had changes, but lockfile is frozen", "The lock file is not up to date"),
    "npm: engine": (
        "npm error code EBADENGINE\nnpm error notsup Not compatible with your version of node/npm: x@1.0.0\n",
        "refuses this version of Node: Not compatible",
    ),
    "yarn 1: engine": (
        'error x@1.0.0: The engine "node" is incompatible with this module. Expected version ">=99".',
        'refuses this version of Node: x@1.0.0: The engine "node"',
    ),
    "npm: checksum": (
        "npm error code EINTEGRITY\nnpm error sha512-AA integrity checksum failed",
        "its checksum differs",
    ),
    "npm: token": ("npm error code E401\nnpm error Unable to authenticate", "it answered 401"),
    "npm: right": ("npm error code E403\nnpm error 403 403 Forbidden", "it answered 403"),
    "npm: certificate": (
        "npm error code SELF_SIGNED_CERT_IN_CHAIN\nnpm error errno SELF_SIGNED_CERT_IN_CHAIN",
        "certificate is not trusted here (SELF_SIGNED_CERT_IN_CHAIN)",
    ),
    "npm: network": (
        "npm error   code: 'ECONNREFUSED',\nnpm error   address: '127.0.0.1'",
        "cannot be reached",
    ),
    "bun: network": ("error: ConnectionRefused downloading package manifest ms", "cannot be reached"),
    "npm: compiler says": (GYP, "that failed: ../t.c:3:10: error: 'nope' undeclared"),
    "npm: no python": (
        "npm error gyp ERR! find Python\nnpm error gyp ERR! find Python Python is not set",
        "no Python",
    ),
    "npm: no make": ("npm error gyp ERR! stack Error: not found: make", "this host has no compiler"),
    "npm: header": (
        "npm error ../a.c:1:10: fatal error: mysql/mysql.h: No such file or directory\nnpm error gyp ERR! build error",
        "the header mysql/mysql.h is not on this host",
    ),
    "npm: own script": (
        "npm error code 3\nnpm error path /tmp/x\nnpm error command failed\nnpm error command sh -c echo oh; exit 3\n",
        "A script of package.json failed: echo oh; exit 3",
    ),
    "npm: script of a package": (
        (
            "npm error code 1\nnpm error path /tmp/x/node_modules/@s/native\nnpm error command failed\n"
            "npm error command sh -c node install.js"
        ),
        "A script of the package @s/native failed.",
    ),
    "pnpm: scripts": (
        " ERR_PNPM_IGNORED_BUILDS  Ignored build scripts: bcrypt@5.1.1, esbuild@0.25.12\n",
        "pnpm does not run the scripts of bcrypt@5.1.1, esbuild@0.25.12 unasked",
    ),
    "pnpm 12: scripts": (
        "  ╰─▶ Ignored build scripts: esbuild@0.21.5",
        "pnpm does not run the scripts of esbuild@0.21.5 unasked",
    ),
}

BUILDING = {
    "a font": (
        "Error: next/font: error:\nFailed to fetch Geist Mono from Google Fonts.\nIf you are offline",
        "the font Geist Mono from Google",
    ),
    "a lock without what is compiled": (
        "Error: Cannot find module @rollup/rollup-linux-x64-gnu. npm has a bug related to optional dependencies",
        "@rollup/rollup-linux-x64-gnu, which is compiled for this system, is not in the lock file",
    ),
    "heap": (HEAP, "the heap of Node reached its limit"),
    "heap said": (
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        "the heap of Node",
    ),
    "yarn: heap": ("error Command failed with exit code 134.", "the heap of Node reached its limit"),
    "killed": ("Killed\nnpm error x", "the host ran out of memory"),
    "npm: no script": ('npm error Missing script: "nothere"\n', "package.json has no script nothere."),
    "pnpm: no script": (
        " ERR_PNPM_NO_SCRIPT  Missing script: nothere\n",
        "package.json has no script nothere.",
    ),
    "bun: no script": ('error: Script not found "nothere"', "package.json has no script nothere."),
    "yarn 1: no script": ('error Command "nothere" not found.', "package.json has no script nothere."),
    "no program": ("> vitex build\n\nsh: 1: vitex: not found", "vitex is run, and is neither"),
    "no module": (
        "Error: Cannot find module 'left-pad'\nRequire stack:",
        "The build does not find left-pad.",
    ),
    "old webpack": ("  code: 'ERR_OSSL_EVP_UNSUPPORTED'\n", "an old webpack"),
}


@pytest.mark.parametrize(("text", "brief"), INSTALLING.values(), ids=INSTALLING)
def test_a_failed_installation_is_explained(text, brief):
    said, resolution = told(INSTALL_FAILURES, text)
    assert brief in said
    assert resolution


@pytest.mark.parametrize(("text", "brief"), BUILDING.values(), ids=BUILDING)
def test_a_failed_build_is_explained(text, brief):
    said, resolution = told(BUILD_FAILURES, text)
    assert brief in said
    assert resolution


def test_out_of_memory_says_how_more_is_given():
    assert "--build-env NODE_OPTIONS=--max-old-space-size=" in told(BUILD_FAILURES, HEAP)[1]


@pytest.mark.parametrize(
    "text",
    [
        "npm error code ENOTCACHED\nnpm error request to https://registry.npmjs.org/ms failed: cache mode is",
        " ERR_PNPM_NO_OFFLINE_META  Failed to resolve ms@2.1.2 in package mirror /tmp/x",
        " ERR_PNPM_NO_OFFLINE_TARBALL  A package is missing from the store but cannot download it in offline mode.",
        'error Couldn\'t find any versions for "ms" that matches "2" in our cache',
        "error Error: connect ECONNREFUSED 127.0.0.1:9",
        "fatal: unable to access 'https://github.com/vercel/ms/': Failed to connect to 127.0.0.1 port 9",
        "error: ConnectionRefused downloading package manifest ms",
    ],
)
def test_what_is_not_in_the_cache_is_only_said_so_when_offline(text):
    assert told(INSTALL_FAILURES, text, is_offline=True)[0].startswith("Offline, and not everything")
    assert not told(INSTALL_FAILURES, text)[0].startswith("Offline")


@pytest.mark.parametrize("failures", [INSTALL_FAILURES, BUILD_FAILURES])
def test_an_installation_that_prints_what_it_always_does_means_nothing(failures):
    text = "npm warn deprecated inflight@1.0.6: leaks memory\n\nadded 148 packages in 6s\n\n21 packages are looking for"
    assert told(failures, text) == ("", "")
