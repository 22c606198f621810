"""The heap of a process of Node, as part of the budget; and whether there are several."""

import json
import os
import re
import shutil
import subprocess

import pytest

from stager.model.memory import size_workers
from stager.plugins.node.environment import heap_environment, private_files, process_environment
from stager.plugins.node.reading.manifest import read_package
from stager.plugins.node.starting.memory import heap_model, uses_cluster
from stager.plugins.node.starting.start import find_start
from stager.source.tree import Tree


@pytest.mark.parametrize(
    ("budget", "heap"), [(64, 25), (128, 70), (256, 172), (512, 377), (1024, 787), (2048, 1606), (8192, 6521)]
)
def test_one_process_has_the_whole_budget(budget, heap):
    sizing = size_workers(heap_model(), budget, 400)
    assert (sizing.workers, sizing.limit_mib) == (1, heap)


@pytest.mark.parametrize(
    ("budget", "cores", "workers"),
    [(256, 400, 1), (512, 400, 1), (1024, 400, 3), (2048, 400, 4), (2048, 100, 1)],
)
def test_a_cluster_divides_it(budget, cores, workers):
    sizing = size_workers(heap_model(is_clustered=True), budget, cores)
    assert sizing.workers == workers
    assert sizing.promised_mib <= budget
    assert 40 + workers * (sizing.limit_mib + 40) <= budget


@pytest.mark.parametrize("budget", range(128, 4096, 97))
@pytest.mark.parametrize("is_clustered", [True, False])
def test_no_more_is_promised_than_there_is(budget, is_clustered):
    for cores in (50, 100, 250, 1600):
        assert size_workers(heap_model(is_clustered=is_clustered), budget, cores).promised_mib <= budget


def package_of(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    source = Tree.of_directory(root)
    return source, read_package(source)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"package.json": {"dependencies": {"throng": "5"}}}, True),
        ({"package.json": {"scripts": {"start": "pm2-runtime start ecosystem.config.js"}}}, True),
        ({"package.json": {"scripts": {"start": "node s.js"}}, "s.js": "const c = require('cluster')"}, True),
        ({"package.json": {"scripts": {"start": "node s"}}, "s.js": "import c from 'node:cluster'"}, True),
        ({"package.json": {"main": "s.js"}, "s.js": "const n = process.env.WEB_CONCURRENCY || 1"}, True),
        ({"server.js": "require('node:cluster')"}, True),
        ({"package.json": {"scripts": {"start": "node s.js"}}, "s.js": "// a cluster of stars"}, False),
        (
            {"package.json": {"scripts": {"start": "node s.js"}}, "s.js": "", "b.js": "require('cluster')"},
            False,
        ),
        ({"package.json": {"dependencies": {"express": "4"}}}, False),
        ({"server.ts": ""}, False),
        ({}, False),
    ],
)
def test_clusters_are_seen(tmp_path, files, expected):
    source, package = package_of(tmp_path, files)
    assert uses_cluster(source, package) is expected


def test_the_command_that_was_found_says_which_file(tmp_path):
    files = {
        "package.json": {"scripts": {"start": "npm run b", "b": "node b.js"}},
        "b.js": "require('cluster')",
    }
    source, package = package_of(tmp_path, files)
    assert uses_cluster(source, package, find_start(source, package, None))


def test_the_package_that_is_started_says_it(tmp_path):
    files = {
        "package.json": {"workspaces": ["a/*"]},
        "a/b/package.json": {"scripts": {"start": "node s.js"}},
        "a/b/s.js": "require('cluster')",
    }
    source, package = package_of(tmp_path, files)
    assert uses_cluster(source, package, find_start(source, package, None))


def test_node_comes_first_on_the_path():
    assert process_environment()["PATH"].startswith(
        "${STAGER_SOCKETS}/node/bin:${STAGER_ROOT}/app/node_modules/.bin:"
    )
    assert process_environment()["NODE_ENV"] == "production"
    assert {file.path for file in private_files()} >= {"node/bin/node"}
    links = {file.path: file.link for file in private_files()}
    assert links["node/bin/node"] == "${STAGER_NODE}"
    assert links["node/serving.cjs"] == "${STAGER_DROPLET}/node/serving.cjs"


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_what_the_user_says_of_the_heap_wins():
    options = heap_environment()["NODE_OPTIONS"]
    ask = ["node", "-p", "Math.round(v8.getHeapStatistics().heap_size_limit / 2 ** 20)"]

    def limit(users):
        text = options.replace("${STAGER_NODE_HEAP}", "377").replace("${NODE_OPTIONS}", users)
        text = re.sub(r"--require \S+ ", "", text)
        environment = {"PATH": os.environ["PATH"], "NODE_OPTIONS": text}
        return int(re.sub(r"\D", "", subprocess.check_output(ask, env=environment, text=True)))

    assert 377 <= limit("") < 440
    assert 200 <= limit("--max-old-space-size=200") < 260
