"""Node applications of every kind, built without configuration, started elsewhere, and asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXPRESS = FIXTURES / "node_express"
LOCKS = FIXTURES / "node_locks"
EXAMPLE = Path(__file__).parents[2] / "examples/node"

#: The lock, what it is called in an application, and what people are told of the manager.
MANAGERS = {
    "npm": (EXPRESS / "package-lock.json", "package-lock.json", "npm, because of package-lock.json"),
    "npm 6": (LOCKS / "package-lock.v1.json", "package-lock.json", "npm, because of package-lock.json"),
    "pnpm 8": (LOCKS / "pnpm-lock.8.yaml", "pnpm-lock.yaml", "pnpm 8.15.9, because of pnpm-lock.yaml"),
    "pnpm 9": (LOCKS / "pnpm-lock.9.yaml", "pnpm-lock.yaml", "pnpm 9.15.9, because of pnpm-lock.yaml"),
    "yarn 1": (LOCKS / "yarn.1.lock", "yarn.lock", "yarn 1.22.22, because of yarn.lock"),
    "yarn 4": (LOCKS / "yarn.4.lock", "yarn.lock", "yarn 4.18.1, because of yarn.lock"),
    "bun": (LOCKS / "bun.lock", "bun.lock", "bun 1.4.5, because of bun.lock"),
}


def assert_served(report, *runtimes):
    """It was built by these, has answered, and nothing was found to be wrong."""
    assert tuple(report["runtimes"]) == runtimes
    boot, findings = report["verification"]["boot"], report["verification"]["findings"]
    assert (boot["status"], boot["http_status"]) == ("served", 200)
    assert [one for one in findings if one["level"] in {"error", "warning"}] == []


@pytest.mark.parametrize("manager", MANAGERS)
def test_express_is_installed_with_the_manager_that_wrote_the_lock(build, tmp_path, tree, manager):
    lock, name, told = MANAGERS[manager]
    files = {one: (EXPRESS / one).read_text() for one in ("package.json", "server.js")}
    source = tree({**files, name: lock.read_text()})
    report, seen = build(source, "--verify", "boot")
    assert_served(report, "node")
    assert f"package manager: {told}" in seen
    assert "started: scripts.start: node server.js" in seen
    assert report["processes"] == {"web": ["${STAGER_NODE}", "server.js"]}
    assert sorted(path.name for path in source.iterdir()) == sorted([name, "package.json", "server.js"])
    members = subprocess.run(
        ["tar", "-tf", tmp_path / "droplet.tar.gz"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "app/node_modules/express" in {one.rstrip("/") for one in members}
    assert not [one for one in members if "is-odd" in one]


def test_the_example_is_what_people_may_begin_with(build):
    report, seen = build(EXAMPLE, "--verify", "boot")
    assert_served(report, "node")
    assert "scripts.start: node server.js" in seen
    assert report["warnings"] == []


def test_npm_workspaces_start_the_one_package_that_can_be(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "node_workspaces", "--verify", "boot")
    assert_served(report, "node")
    assert "started: scripts.start of apps/shop: node server.js" in seen
    assert "build: scripts.build of packages/prices" in seen
    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    assert site.get("/").text == "12.50 EUR, built by packages/prices"


def test_a_pnpm_workspace_links_its_packages_inside_the_droplet(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "node_pnpm_workspace", "--verify", "boot")
    assert_served(report, "node")
    assert "pnpm 9.15.9" in seen
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    site = start(droplet, account=account)
    assert site.get("/").text == "greetings from packages/words; ms: 60000"
    links = [path for path in (droplet / "app").rglob("*") if path.is_symlink()]
    assert links
    root = (droplet / "app").resolve()
    assert all(path.resolve().is_relative_to(root) for path in links)
    assert not (droplet / "app/apps/web/node_modules/is-odd").exists()


def test_typescript_runs_through_tsx_and_what_tsc_has_built(build, unpack, start, tmp_path, account):
    source = tmp_path / "typescript"
    shutil.copytree(FIXTURES / "node_typescript", source)
    report, seen = build(source, "--verify", "boot")
    assert_served(report, "node")
    assert "tsx" in report["processes"]["web"][0]
    manifest = json.loads((source / "package.json").read_text())
    manifest["scripts"] = {"build": "tsc", "start": "npm run build && node ."}
    (source / "package.json").write_text(json.dumps({**manifest, "main": "dist/server.js"}))
    report, seen = build(source, "--verify", "boot", name="built.tar.gz")
    assert_served(report, "node")
    assert report["processes"]["web"] == ["${STAGER_NODE}", "."]
    assert "npm run build: done by the build" in seen
    droplet = unpack(tmp_path / "built.tar.gz", account=account)
    assert not (droplet / "app/node_modules/typescript").exists()
    assert start(droplet, account=account).get("/").text == "typed: 3"


def test_vite_builds_what_apache_serves(build, unpack, start, tmp_path, account):
    report, _ = build(FIXTURES / "node_vite", "--verify", "boot")
    assert_served(report, "node", "static")
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    assert not (droplet / "app/node_modules").exists()
    site = start(droplet, account=account)
    page = site.get("/deep/link").text
    assert '<script type="module"' in page
    name = page.partition('src="')[2].partition('"')[0]
    script = site.get(name)
    assert "built by vite" in script.text
    assert "immutable" in script.headers["Cache-Control"]


def test_svelte_kit_starts_the_server_that_its_adapter_makes(
    node_20, build, unpack, start, tmp_path, account
):
    report, seen = build(FIXTURES / "node_svelte_kit", "--verify", "boot")
    assert_served(report, "node")
    assert "started: SvelteKit's own server; there is no scripts.start" in seen
    assert report["processes"] == {"web": ["${STAGER_NODE}", "build/index.js"]}
    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    page = site.get("/", headers={"Host": "shop.example.com", "X-Forwarded-Proto": "https"}).text
    assert "asked at https://shop.example.com" in page
    script = site.get("/_app/" + page.partition("/_app/")[2].partition('"')[0])
    assert "immutable" in script.headers["cache-control"]


def test_react_router_renders_with_its_own_server(node_20, build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "node_react_router", "--verify", "boot")
    assert_served(report, "node")
    assert "started: scripts.start: react-router-serve ./build/server/index.js" in seen
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    assert not (droplet / "app/node_modules/vite").exists()
    page = start(droplet, account=account).get("/").text
    assert "rendered for" in page


def test_a_php_application_has_its_assets_and_no_packages_of_node(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "node_in_laravel", "--verify", "boot")
    assert_served(report, "node", "php")
    assert "node_modules: left out of the droplet: only the build needs them" in seen
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    assert not (droplet / "app/node_modules").exists()
    assert "node" not in (droplet / "startup").read_text()
    site = start(droplet, account=account)
    page = site.get("/").text
    assert "Laravel-like" in page
    asset = site.get(page.partition('src="')[2].partition('"')[0])
    assert asset.status == 200
    assert "from resources/js/app.js" in asset.text


def test_a_django_project_collects_what_esbuild_makes(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "node_in_django", "--verify", "boot")
    assert_served(report, "node", "python_wsgi")
    assert seen.index("npm run build") < seen.index("static file copied")
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    assert not (droplet / "app/node_modules").exists()
    site = start(droplet, account=account)
    assert "a project with a bundle" in site.get("/").text
    assert "bundled by esbuild" in site.get("/static/bundle.js").text
