"""The plan: what is installed, built, pruned, kept and started, without doing it."""

import json

import pytest

from stager.buildpack import PlanContext
from stager.errors import NoStartCommand
from stager.model.host import HostFacts, ToolFact
from stager.model.plan import Shell
from stager.plugins.node.buildpack import NodeBuildpack
from stager.plugins.node.options import NodeOptions
from stager.source.tree import Tree

HOST = HostFacts.of(
    ToolFact("node", "/usr/bin/node", "20.20.2", matches=("/usr/bin/node",), versions=("20.20.2",)),
    ToolFact("npm", "/usr/bin/npm", matches=("/usr/bin/npm",)),
    ToolFact(
        "headers of node", "/usr/include/node/node_version.h", matches=("/usr/include/node/node_version.h",)
    ),
)
LOCK = {"lockfileVersion": 3, "packages": {"": {}, "node_modules/ms": {"version": "2.1.3"}}}
DEV = {
    "lockfileVersion": 3,
    "packages": {**LOCK["packages"], "node_modules/tsx": {"version": "4.1.0", "dev": True}},
}

ALLOW = "--allow=is ignore-scripts set in .npmrc? npm 12 wants them allowed: npm install-scripts approve NAME"
PRUNED = (
    "remove devDependencies, settle packages | --prune=npm prune --omit=dev --ignore-scripts "
    f"{ALLOW} node_modules"
)
FORGOTTEN = "forget the build's directory |"


def planned(root, files, host=HOST, options=None, **context):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    source = Tree.of_directory(root)
    return NodeBuildpack().plan(PlanContext(source, options or NodeOptions(), host, **context))


def commands(plan):
    return [" ".join((step.name, "|", *step.arguments)) for step in plan.steps]


def web(plan):
    return next(process for process in plan.processes if process.type == "web")


SERVER = {"index.js": "require('http').createServer().listen(process.env.PORT)"}
BUILT = {
    "package.json": {
        "scripts": {"build": "tsc", "start": "node index.js"},
        "dependencies": {"ms": "^2.1.0"},
        "devDependencies": {"tsx": "^4.0.0"},
    },
    "package-lock.json": DEV,
    **SERVER,
}


def test_a_build_is_installed_with_development_built_and_pruned(tmp_path):
    plan = planned(tmp_path, BUILT)
    assert commands(plan) == [
        "npm install | ci --include=dev",
        "npm run build | run build",
        PRUNED,
    ]
    assert plan.steps[0].environment["NODE_ENV"] == "development"
    assert plan.steps[1].environment["NODE_ENV"] == "production"
    assert plan.steps[0].outputs == ("app/node_modules",)
    assert plan.left_out == ()


def test_without_a_build_packages_for_development_are_not_even_fetched(tmp_path):
    files = {**BUILT, "package.json": {**BUILT["package.json"], "scripts": {"start": "node index.js"}}}
    assert commands(planned(tmp_path, files)) == [
        "npm install | ci --omit=dev",
        f"settle packages | {ALLOW} node_modules",
    ]


def test_a_script_that_runs_on_installation_gets_packages_for_development(tmp_path):
    scripts = {"start": "node index.js", "postinstall": "tsx x.ts"}
    plan = planned(tmp_path, {**BUILT, "package.json": {**BUILT["package.json"], "scripts": scripts}})
    assert commands(plan)[0] == "npm install | ci --include=dev"
    assert PRUNED in commands(plan)


def test_what_the_start_needs_of_development_stays(tmp_path):
    scripts = {"start": "tsx index.ts"}
    files = {**BUILT, "package.json": {**BUILT["package.json"], "scripts": scripts}, "index.ts": "x"}
    plan = planned(tmp_path, files)
    assert not any("prune" in one for one in commands(plan))
    assert any("tsx of devDependencies" in note for note in plan.warnings)


def test_nothing_is_installed_where_nothing_is_asked_for(tmp_path):
    plan = planned(tmp_path, {"package.json": {"scripts": {"start": "node index.js"}}, **SERVER})
    assert plan.steps == ()
    assert web(plan).command == ("${STAGER_NODE}", "index.js")


def test_a_lone_file_is_run_without_a_manifest(tmp_path):
    plan = planned(tmp_path, {"server.js": SERVER["index.js"]})
    assert (plan.steps, web(plan).command) == ((), ("${STAGER_NODE}", "server.js"))


def test_no_lock_is_installed_with_a_warning(tmp_path):
    files = {"package.json": BUILT["package.json"], **SERVER}
    plan = planned(tmp_path, files)
    assert commands(plan)[0] == "npm install | install --no-package-lock --include=dev"
    assert any("There is no lock file" in note for note in plan.warnings)


@pytest.mark.parametrize(
    ("scripts", "run"),
    [
        ({"heroku-postbuild": "a", "build": "b", "gcp-build": "c"}, ["heroku-postbuild"]),
        ({"build": "b", "gcp-build": "c"}, ["build"]),
        ({"gcp-build": "c"}, ["gcp-build"]),
        ({"gcp-build": ""}, []),
        ({"heroku-prebuild": "p", "build": "b"}, ["heroku-prebuild", "build"]),
    ],
)
def test_scripts_of_other_platforms_are_run_in_their_order(scripts, run, tmp_path):
    package = {"scripts": {**scripts, "start": "node index.js"}}
    plan = planned(tmp_path, {"package.json": package, **SERVER})
    assert [step.arguments[-1] for step in plan.steps if step.name.startswith("npm run")] == run


def test_the_settings_say_what_builds(tmp_path):
    package = {"scripts": {"build": "b", "build:prod": "c", "start": "node index.js"}}
    files = {"package.json": package, **SERVER}
    assert commands(planned(tmp_path, files, options=NodeOptions(build="build:prod"))) == [
        "npm run build:prod | run build:prod",
        FORGOTTEN,
    ]
    assert planned(tmp_path, files, options=NodeOptions(build=False)).steps == ()


def test_a_manager_that_is_missing_is_installed_pinned_and_checked(tmp_path):
    package = {**BUILT["package.json"], "packageManager": "pnpm@9.15.9+sha512.ab"}
    lock = (
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      ms: {specifier: ^2.1.0}\n"
        "    devDependencies:\n      tsx: {specifier: ^4.0.0}\n"
    )
    plan = planned(tmp_path, {"package.json": package, "pnpm-lock.yaml": lock, **SERVER})
    assert commands(plan)[:3] == [
        "install pnpm 9.15.9 | install --prefix ../build/managers --no-package-lock pnpm@9.15.9",
        "check pnpm 9.15.9 | ../build/managers pnpm@9.15.9 sha512 ab",
        "pnpm install | install --frozen-lockfile --prod=false",
    ]
    assert plan.build_path == ("build/managers/node_modules/.bin",)


def test_another_node_than_the_first_on_the_path_is_linked(tmp_path):
    nodes = ("/usr/bin/node", "/opt/node22/bin/node")
    host = HostFacts.of(
        ToolFact("node", nodes[0], "20.20.2", matches=nodes, versions=("20.20.2", "22.1.0")),
        ToolFact("npm", "/usr/bin/npm", matches=("/usr/bin/npm", "/opt/node22/bin/npm")),
        ToolFact("headers of node"),
    )
    files = {**BUILT, "package.json": {**BUILT["package.json"], "engines": {"node": "22"}}}
    plan = planned(tmp_path, files, host=host)
    assert plan.steps[0].arguments == ("/opt/node22/bin/node", "../build/node/bin")
    assert plan.steps[0].tool == "node"
    assert plan.steps[1].tool == "../build/node/bin/npm"
    assert plan.build_path == ("build/node/bin",)
    assert plan.tools[0].start_pattern == "v22.*"


def test_a_supplier_builds_and_leaves_its_packages_out(tmp_path):
    plan = planned(tmp_path, BUILT, is_serving=False)
    assert commands(plan) == ["npm install | ci --include=dev", "npm run build | run build", FORGOTTEN]
    assert "node_modules" in plan.left_out
    assert (plan.processes, plan.tools, plan.private_files) == ((), (), ())
    assert plan.process_environment == {}


@pytest.mark.parametrize("text", ["node ssr.js", "php artisan inertia:start-ssr"])
def test_a_supplier_whose_packages_a_process_needs_keeps_them(text, tmp_path):
    plan = planned(tmp_path, BUILT, is_serving=False, processes={"ssr": Shell(text)})
    assert "node_modules" not in plan.left_out
    assert "--require ${STAGER_SOCKETS}/node/serving.cjs" in plan.processes[0].environment["NODE_OPTIONS"]
    assert PRUNED in commands(plan)
    assert plan.tools[0].variable == "STAGER_NODE"


NUXT = {"package.json": {"scripts": {"build": "nuxt build"}, "dependencies": {"nuxt": "^4.0.0"}}}


def test_a_build_that_holds_all_its_packages_is_all_that_is_packed(tmp_path):
    plan = planned(tmp_path, NUXT)
    assert "node_modules" in plan.left_out
    assert web(plan).command == ("${STAGER_NODE}", ".output/server/index.mjs")
    assert plan.tools[0].variable == "STAGER_NODE"


def test_packages_stay_where_something_else_is_run_besides(tmp_path):
    assert "node_modules" not in planned(tmp_path, NUXT, processes={"worker": Shell("./w.sh")}).left_out
    kept = planned(tmp_path, NUXT, options=NodeOptions(keep_dev_dependencies=True))
    assert "node_modules" not in kept.left_out


NEXT = {
    "package.json": {
        "scripts": {"build": "next build", "start": "next start"},
        "dependencies": {"next": "^16.0.0"},
    },
    "next.config.mjs": "export default { output: 'standalone' }",
}


def test_nexts_own_server_is_completed_and_all_that_is_packed(tmp_path):
    plan = planned(tmp_path, NEXT)
    assert web(plan).command == ("${STAGER_NODE}", ".next/standalone/server.js")
    assert web(plan).environment["HOSTNAME"] == "${VCAP_APP_HOST}"
    assert commands(plan)[-2:] == ["complete Next's own server | .next --whole", FORGOTTEN]
    assert "node_modules" in plan.left_out


@pytest.mark.parametrize(
    ("start", "config"),
    [
        # It copies them itself: it may do so again.
        ("cp -r public .next/standalone; node .next/standalone/server.js", ""),
        # Nobody but the application knows where the server is.
        ("next start", ", outputFileTracingRoot: path.join(import.meta.dirname, '../..')"),
    ],
)
def test_what_else_starts_a_standalone_next_keeps_its_packages(tmp_path, start, config):
    package = {**NEXT["package.json"], "scripts": {"build": "next build", "start": start}}
    text = f"export default {{ output: 'standalone'{config} }}"
    plan = planned(tmp_path, {"package.json": package, "next.config.mjs": text})
    assert "node_modules" not in plan.left_out
    completing = [line for line in commands(plan) if line.startswith("complete")]
    assert completing == ([] if config else ["complete Next's own server | .next"])


def test_what_only_builds_read_is_left_out(tmp_path):
    plan = planned(tmp_path, {"package.json": NEXT["package.json"]})
    assert web(plan).command[:2] == ("next", "start")
    assert {".next/cache/turbopack", ".next/cache/webpack"} <= set(plan.left_out)
    assert ".next/cache" not in plan.left_out


@pytest.mark.parametrize(
    ("hosts", "environment", "is_told"),
    [
        ([], {}, True),
        ([], {"NG_ALLOWED_HOSTS": "shop.example.com"}, False),
        (["shop.example.com"], {}, False),
        (None, {}, False),
    ],
)
def test_an_angular_server_that_renders_for_nobody_is_told_of(tmp_path, hosts, environment, is_told):
    options = {"ssr": {"entry": "src/server.ts"}, "outputMode": "server"}
    options |= {"security": {"allowedHosts": hosts}} if hosts is not None else {}
    build = {"builder": "@angular/build:application", "options": options}
    files = {
        "package.json": {
            "scripts": {"start": "ng serve", "build": "ng build"},
            "devDependencies": {"@angular/cli": "21"},
        },
        "angular.json": {"projects": {"shop": {"projectType": "application", "architect": {"build": build}}}},
    }
    plan = planned(tmp_path, files, environment=environment)
    assert web(plan).command == ("${STAGER_NODE}", "dist/shop/server/server.mjs")
    assert any("NG_ALLOWED_HOSTS" in note for note in plan.warnings) is is_told


@pytest.mark.parametrize(("version", "looks"), [("9.15.9", False), ("10.34.9", True)])
def test_pnpm_is_asked_which_scripts_it_passed_over(tmp_path, version, looks):
    package = {**BUILT["package.json"], "packageManager": f"pnpm@{version}"}
    names = [step.name for step in planned(tmp_path, {"package.json": package, **SERVER}).steps]
    assert ("look for scripts that did not run" in names) is looks
    if looks:
        assert names.index("look for scripts that did not run") < names.index("pnpm prune")


def test_a_command_of_the_users_runs_as_written_with_a_heap_that_fits(tmp_path):
    plan = planned(tmp_path, BUILT, processes={"web": Shell("node a.js | cat"), "worker": Shell("node w.js")})
    assert web(plan).command == Shell("node a.js | cat")
    assert {process.type for process in plan.processes} == {"web", "worker"}
    assert all("STAGER_NODE_HEAP" in process.environment["NODE_OPTIONS"] for process in plan.processes)


def test_nobody_starts_the_inspector_with_a_signal(tmp_path):
    assert "USR1" in web(planned(tmp_path, BUILT)).ignored_signals
    # It drains, unless the application has a handler of its own.
    assert web(planned(tmp_path, BUILT)).drains is None


def test_settings_with_a_secret_do_not_reach_the_droplet(tmp_path):
    plan = planned(tmp_path, {**BUILT, ".npmrc": "//r.example/:_authToken=${NPM_TOKEN}\n"})
    assert ".npmrc" in plan.left_out
    assert any("NPM_TOKEN" in note for note in plan.warnings)
    assert any(what == ".npmrc" for what, _ in plan.choices)


def test_packages_that_came_along_are_not_installed_again(tmp_path):
    files = {
        **BUILT,
        "node_modules/.package-lock.json": DEV,
        "node_modules/ms/package.json": {},
        "node_modules/tsx/package.json": {},
        "node_modules/ms/build/Release/ms.node": "x",
    }
    plan = planned(tmp_path, files)
    assert commands(plan)[:2] == ["npm rebuild | rebuild", "npm run build | run build"]


def test_a_workspace_with_a_build_is_built_where_the_root_has_none(tmp_path):
    files = {
        "package.json": {"workspaces": ["apps/*"], "scripts": {"start": "node index.js"}},
        "apps/web/package.json": {"name": "web", "scripts": {"build": "x"}, "dependencies": {"ms": "^2"}},
        **SERVER,
    }
    plan = planned(tmp_path, files)
    assert "npm run build | run --workspaces --if-present build" in commands(plan)
    assert "app/apps/web/node_modules" in plan.steps[-1].outputs


def test_files_that_a_build_makes_are_another_runtimes_to_serve(tmp_path):
    package = {"scripts": {"build": "vite build"}, "devDependencies": {"vite": "^5"}}
    with pytest.raises(NoStartCommand) as caught:
        planned(tmp_path, {"package.json": package, "index.html": ""})
    assert "--runtime node --runtime static" in caught.value.resolution


def test_equal_sources_give_equal_plans(tmp_path):
    assert planned(tmp_path, BUILT) == planned(tmp_path, BUILT)
