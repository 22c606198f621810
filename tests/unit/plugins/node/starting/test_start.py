"""What is started: plain scripts without npm, everything else as it was written, files, toolkits' servers."""

# ruff: noqa: E501  (a tree is one line of its table)

import json
import random
import shlex
import shutil
import subprocess

import pytest

from stager.errors import ConfigurationError, NoStartCommand, StagerError
from stager.model.plan import Shell
from stager.plugins.node.reading.manifest import read_package
from stager.plugins.node.starting.shell_words import as_shell, parse, plain
from stager.plugins.node.starting.start import find_start
from stager.plugins.node.toolkits.recognition import find_toolkit
from stager.source.tree import Tree

NODE = "${STAGER_NODE}"
HOST, PORT = "${VCAP_APP_HOST}", "${PORT}"


def tree(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    return Tree.of_directory(root)


def start_of(root, files, **settings):
    source = tree(root, files)
    package = read_package(source)
    return find_start(source, package, find_toolkit(source, package), **settings)


def scripts(start, /, **others):
    """A package with a start script that has whatever it names."""
    return {"package.json": {"scripts": {"start": start, "build": "true", **others}}}


@pytest.mark.parametrize(
    ("script", "command", "environment"),
    [
        ("node server.js", (NODE, "server.js"), {}),
        ("node ./bin/www", (NODE, "./bin/www"), {}),
        ("node .", (NODE, "."), {}),
        ("nodejs server.js", (NODE, "server.js"), {}),
        ('node server.js --x "a b"', (NODE, "server.js", "--x", "a b"), {}),
        ("node server.js --name 'it''s' a\\ b", (NODE, "server.js", "--name", "its", "a b"), {}),
        ("node -e 'console.log(1)'", (NODE, "-e", "console.log(1)"), {}),
        ('node x.js --price "5\\$"', (NODE, "x.js", "--price", "5$$"), {}),
        ("node x.js '$HOME'", (NODE, "x.js", "$$HOME"), {}),
        ("VAR=x node server.js", (NODE, "server.js"), {"VAR": "x"}),
        ('A="1 2" B= node server.js', (NODE, "server.js"), {"A": "1 2", "B": ""}),
        (
            "cross-env A=1 NODE_ENV=production node server.js",
            (NODE, "server.js"),
            {"A": "1", "NODE_ENV": "production"},
        ),
        ("env A=1 node x.js", (NODE, "x.js"), {"A": "1"}),
        ("exec node x.js", (NODE, "x.js"), {}),
        ("node --import tsx src/x.ts", (NODE, "--import", "tsx", "src/x.ts"), {}),
        ("node -r dotenv/config x.js", (NODE, "-r", "dotenv/config", "x.js"), {}),
        ("node x.js --port $PORT", (NODE, "x.js", "--port", PORT), {}),
        ("node x.js --port ${PORT:-3000}", (NODE, "x.js", "--port", PORT), {}),
        ('node x.js "--port=$PORT"', (NODE, "x.js", "--port=${PORT}"), {}),
        (
            "node x.js a=b @scope/x 50% a,b c:d ^1 +x",
            (NODE, "x.js", "a=b", "@scope/x", "50%", "a,b", "c:d", "^1", "+x"),
            {},
        ),
        ("./bin/start.sh", ("./bin/start.sh",), {}),
        ("bash start.sh", ("bash", "start.sh"), {}),
        ("node_modules/.bin/micro", ("micro",), {}),
        ("./node_modules/.bin/micro -l x", ("micro", "-l", "x"), {}),
        ("npx micro", ("micro",), {}),
        ("npx --yes micro a", ("micro", "a"), {}),
        ("strapi start", ("strapi", "start"), {"HOST": HOST, "PORT": PORT}),
        ("set NODE_ENV=production && node x.js", (NODE, "x.js"), {"NODE_ENV": "production"}),
        ("export A=1 && node x.js", (NODE, "x.js"), {"A": "1"}),
        ("PATH=./bin node x.js", ("env", "PATH=./bin", NODE, "x.js"), {}),
    ],
)
def test_a_plain_script_is_run_without_npm(tmp_path, script, command, environment):
    start = start_of(tmp_path, scripts(script))
    assert (start.command, start.environment) == (command, environment)
    assert start.why == f"scripts.start: {script}"


@pytest.mark.parametrize(
    "script",
    [
        "node a.js; node b.js",
        "node a.js & node b.js",
        "node a.js || node b.js",
        "node a.js | tee log",
        "node a.js > log",
        "node *.js",
        "node $SCRIPT",
        "node ${SCRIPT:-a.js}",
        "node `cat which`",
        "node $(cat which)",
        "(cd x; node a.js)",
        "if true; then node a.js; fi",
        "node a.js # all of it",
        "node ~/a.js",
        "node 'a.js",
        "! node a.js",
        'node a.js --x "`id`"',
        "node a.js\nnode b.js",
    ],
)
def test_what_needs_a_shell_runs_as_written(tmp_path, script):
    assert start_of(tmp_path, scripts(script)).command == Shell(script)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (scripts("npm run serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("npm run-script serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("npm run -s serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("npm run serve -- --x 'a b'", serve="node s.js"), (NODE, "s.js", "--x", "a b")),
        (scripts("npm run serve --silent", serve="node s.js"), (NODE, "s.js")),
        (scripts("yarn serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("yarn run serve --x", serve="node s.js"), (NODE, "s.js", "--x")),
        (scripts("yarn node s.js"), (NODE, "s.js")),
        (scripts("yarn micro"), ("micro",)),
        (scripts("pnpm serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("pnpm run serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("pnpm exec micro"), ("micro",)),
        (scripts("npm exec -- micro x"), ("micro", "x")),
        (scripts("bun run serve", serve="node s.js"), (NODE, "s.js")),
        (scripts("bun run s.js"), (NODE, "s.js")),
        (scripts("bun s.js"), (NODE, "s.js")),
        (scripts("npm run a", a="yarn b", b="pnpm run c", c="node s.js"), (NODE, "s.js")),
        (scripts("npm run nothing --if-present && node s.js"), (NODE, "s.js")),
        (scripts("npm run build && node s.js"), (NODE, "s.js")),
        (scripts("tsc && node s.js", build="tsc"), (NODE, "s.js")),
        (scripts("node s.js", prestart="npm run build"), (NODE, "s.js")),
        (scripts("npm run serve", serve="node a.js | cat"), Shell("node a.js | cat")),
    ],
)
def test_scripts_are_followed(tmp_path, files, command):
    assert start_of(tmp_path, files).command == command


def test_variables_of_every_script_on_the_way_count(tmp_path):
    start = start_of(tmp_path, scripts("A=1 B=1 npm run x", x="B=2 node s.js"))
    assert start.environment == {"A": "1", "B": "2"}


def test_a_build_at_every_start_is_not_repeated_and_said(tmp_path):
    assert "npm run build: done by the build" in start_of(tmp_path, scripts("npm run build && node s.js")).why


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (scripts("node s.js", prestart="node migrate.js"), f'"{NODE}" migrate.js && exec "{NODE}" s.js'),
        (scripts("node s.js", poststart="node bye.js"), f'"{NODE}" s.js && exec "{NODE}" bye.js'),
        (scripts("A=1 node a.js && B='x y' node b.js"), f'A=1 "{NODE}" a.js && B=\'x y\' exec "{NODE}" b.js'),
        (scripts("prisma migrate deploy && node s.js"), f'prisma migrate deploy && exec "{NODE}" s.js'),
        (scripts("node s.js | cat", prestart="echo a; echo b"), "(echo a; echo b\n) && node s.js | cat"),
        (scripts("A=1 npm run x", x="echo $A"), "echo $A"),
    ],
)
def test_several_commands_are_one_text(tmp_path, files, text):
    assert start_of(tmp_path, files).command == Shell(text)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (scripts("npm run sevre", serve="node s.js"), "Did you mean serve?"),
        (scripts("npm run a", a="npm run b", b="npm run a"), "start -> a -> b -> a"),
        (scripts("npm start"), "start -> start"),
        (scripts("yarn workspace web start"), "which is not there"),
        (scripts("turbo run start"), "starts nothing"),
        (scripts("deno run x.ts"), "is started with deno"),
        (scripts("bun run index.ts"), "npm install bun"),
        (scripts("ts-node src/x.ts"), "npm install ts-node"),
        ({"package.json": {"scripts": {"start": "gulp"}}}, "scripts.start is for development: gulp"),
        ({"package.json": {"scripts": {"start": "true && cd x"}}, "server.css": ""}, None),
    ],
)
def test_what_cannot_be_started_is_said(tmp_path, files, says):
    if says is None:
        assert start_of(tmp_path, files).command
        return
    with pytest.raises(NoStartCommand) as caught:
        start_of(tmp_path, files)
    assert says in str(caught.value)
    assert caught.value.exit_code == 32


@pytest.mark.parametrize(
    ("script", "command", "says"),
    [
        ("nodemon server.js", (NODE, "server.js"), "nodemon"),
        (
            "nodemon --watch src -e js,json --inspect server.js --x",
            (NODE, "--inspect", "server.js", "--x"),
            "nodemon",
        ),
        ("nodemon", (NODE, "index.js"), "nodemon"),
        ("nodemon --exec 'node --trace-warnings' s.js", (NODE, "--trace-warnings", "s.js"), "nodemon"),
        ("node --watch server.js", (NODE, "server.js"), "for development"),
        ("pm2 start app.js", ("pm2-runtime", "start", "app.js"), "pm2"),
        ("forever start app.js", ("forever", "app.js"), "forever"),
        ("PORT=3000 node s.js", (NODE, "s.js"), "sets PORT to 3000"),
        ("node --max-old-space-size=4096 s.js", (NODE, "--max-old-space-size=4096", "s.js"), "4096 MiB"),
    ],
)
def test_what_is_for_development_is_replaced_and_said(tmp_path, script, command, says):
    start = start_of(tmp_path, scripts(script))
    assert start.command == command
    assert "PORT" not in start.environment
    assert says in start.warnings[0]


def test_options_of_the_script_do_not_take_the_place_of_the_heap(tmp_path):
    start = start_of(tmp_path, scripts("NODE_OPTIONS='--enable-source-maps' node s.js"))
    ours = "--require ${STAGER_SOCKETS}/node/serving.cjs --max-old-space-size=${STAGER_NODE_HEAP}"
    assert start.environment == {"NODE_OPTIONS": f"{ours} --enable-source-maps ${{NODE_OPTIONS}}"}


def test_listening_on_the_host_alone_is_corrected(tmp_path):
    start = start_of(tmp_path, scripts("HOST=localhost node s.js"))
    assert start.environment == {"HOST": HOST}
    assert "nobody else" in start.warnings[0]


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("next start -p 3000", ("next", "start", "-H", HOST, "-p", PORT)),
        ("next start", ("next", "start", "-H", HOST, "-p", PORT)),
        (
            "next start --port=80 --keepAliveTimeout 7 web",
            ("next", "start", "--keepAliveTimeout", "7", "web", "-H", HOST, "-p", PORT),
        ),
        ("serve -s build -l 3000", ("serve", "-s", "build", "-l", f"tcp://{HOST}:{PORT}")),
        ("npx serve dist", ("serve", "dist", "-l", f"tcp://{HOST}:{PORT}")),
        (
            "vite preview --host --port 80",
            ("vite", "preview", "--host", HOST, "--port", PORT, "--strictPort"),
        ),
        ("http-server ./public -p 8080 -c-1", ("http-server", "./public", "-c-1", "-a", HOST, "-p", PORT)),
        (
            "fastify start -l info app.js",
            ("fastify", "start", "-l", "info", "app.js", "-a", HOST, "-p", PORT),
        ),
    ],
)
def test_servers_that_do_not_read_port_are_told(tmp_path, script, command):
    assert start_of(tmp_path, scripts(script)).command == command


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"package.json": {"main": "app.js"}, "app.js": "", "server.js": ""}, (NODE, "app.js")),
        ({"package.json": {"main": "./lib/server"}, "lib/server.js": ""}, (NODE, "lib/server.js")),
        ({"package.json": {"main": "lib"}, "lib/index.cjs": "", "app.js": ""}, (NODE, "lib/index.cjs")),
        ({"package.json": {"main": "index.js"}, "app.js": ""}, (NODE, "app.js")),
        ({"package.json": {"main": "../x.js"}, "app.js": ""}, (NODE, "app.js")),
        ({"package.json": {"main": "/etc/x.js"}, "app.js": ""}, (NODE, "app.js")),
        ({"package.json": {}, "app.js": "", "index.js": "", "main.js": ""}, (NODE, "app.js")),
        ({"package.json": {}, "server.mjs": "", "app.js": ""}, (NODE, "server.mjs")),
        ({"package.json": {}, "main.cjs": ""}, (NODE, "main.cjs")),
        ({"package.json": {}, "src/index.js": ""}, (NODE, "src/index.js")),
        ({"server.js": ""}, (NODE, "server.js")),
        ({"package.json": {"main": "dist/x.js", "scripts": {"build": "tsc"}}}, (NODE, "dist/x.js")),
        ({"package.json": {"main": "a$b.js"}, "a$b.js": ""}, (NODE, "a$$b.js")),
    ],
)
def test_without_a_script_it_is_main_or_a_usual_name(tmp_path, files, command):
    assert start_of(tmp_path, files).command == command


def test_what_was_not_taken_is_named(tmp_path):
    assert start_of(tmp_path, {"server.js": "", "app.js": "", "main.mjs": ""}).others == (
        "app.js",
        "main.mjs",
    )


TSCONFIG = '{\n  // compiled\n  "compilerOptions": {"outDir": "./dist", "rootDir": "src",},\n}'


@pytest.mark.parametrize(
    ("files", "command", "needed"),
    [
        ({"package.json": {"scripts": {"build": "tsc"}}, "tsconfig.json": TSCONFIG, "src/index.ts": ""}, (NODE, "dist/index.js"), ()),
        ({"package.json": {"scripts": {"build": "tsc -p ."}}, "tsconfig.json": TSCONFIG, "src/server.mts": ""}, (NODE, "dist/server.mjs"), ()),
        ({"package.json": {"dependencies": {"tsx": "4"}}, "server.ts": ""}, ("tsx", "server.ts"), ()),
        ({"package.json": {"devDependencies": {"tsx": "4"}}, "server.ts": ""}, ("tsx", "server.ts"), ("tsx",)),
        (scripts("ts-node src/x.ts") | {"x": ""}, None, ()),
        ({"package.json": {"scripts": {"start": "ts-node-dev --respawn src/a.ts"}, "devDependencies": {"ts-node": "1"}}}, ("ts-node", "src/a.ts"), ("ts-node",)),
        ({"package.json": {"scripts": {"start": "ts-node src/a.ts", "build": "tsc"}}, "tsconfig.json": TSCONFIG}, (NODE, "dist/a.js"), ()),
        ({"package.json": {"scripts": {"start": "tsx watch src/a.ts"}, "dependencies": {"tsx": "4"}}}, ("tsx", "src/a.ts"), ()),
        ({"package.json": {"scripts": {"start": "node --import tsx a.ts"}, "devDependencies": {"tsx": "4"}}}, (NODE, "--import", "tsx", "a.ts"), ("tsx",)),
        ({"package.json": {"scripts": {"build": "x"}}, "index.ts": ""}, None, ()),
        ({"package.json": {}, "index.ts": ""}, None, ()),
    ],
)  # fmt: skip
def test_typescript_is_compiled_or_run_or_refused(tmp_path, files, command, needed):
    if command is None:
        with pytest.raises(NoStartCommand, match=r"ts") as caught:
            start_of(tmp_path, files)
        assert "npm install" in caught.value.resolution
        return
    start = start_of(tmp_path, files)
    assert (start.command, start.needed) == (command, needed)


def test_a_program_of_a_development_dependency_is_needed(tmp_path):
    package = {
        "scripts": {"start": "dotenv -- node x.js | pino-pretty"},
        "devDependencies": {"pino-pretty": "1", "dotenv-cli": "1"},
    }
    assert set(start_of(tmp_path, {"package.json": package}).needed) == {"pino-pretty", "dotenv-cli"}


def test_a_file_that_nothing_makes_is_warned_of(tmp_path):
    start = start_of(tmp_path, {"package.json": {"scripts": {"start": "node sever.js"}}, "server.js": ""})
    assert "sever.js, which is not there" in start.warnings[0]


@pytest.mark.parametrize(
    ("package", "files", "command"),
    [
        ({"scripts": {"dev": "next dev", "build": "next build"}, "dependencies": {"next": "14"}}, {}, ("next", "start", "-H", HOST, "-p", PORT)),
        ({"scripts": {"start": "next dev"}, "dependencies": {"next": "14"}}, {}, ("next", "start", "-H", HOST, "-p", PORT)),
        ({"scripts": {"build": "nuxt build"}, "dependencies": {"nuxt": "^3.0.0"}}, {}, (NODE, ".output/server/index.mjs")),
        ({"scripts": {"start": "nuxt start"}, "devDependencies": {"nuxt": "^3"}}, {}, (NODE, ".output/server/index.mjs")),
        ({"scripts": {"start": "nuxt start"}, "dependencies": {"nuxt": "^2.15"}}, {}, ("nuxt", "start")),
        ({"scripts": {"start": "react-router-serve ./build/server/index.js"}, "dependencies": {"@react-router/serve": "7"}}, {}, ("react-router-serve", "./build/server/index.js")),
        ({"dependencies": {"@remix-run/serve": "2"}, "devDependencies": {"@remix-run/dev": "2"}}, {"vite.config.ts": "import {vitePlugin as remix} from '@remix-run/dev'"}, ("remix-serve", "./build/server/index.js")),
        ({"dependencies": {"@remix-run/serve": "1"}}, {}, ("remix-serve", "./build/index.js")),
        ({"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-node": "5"}}, {"svelte.config.js": "import adapter from '@sveltejs/adapter-node'"}, (NODE, "build/index.js")),
        ({"scripts": {"start": "vite preview"}, "devDependencies": {"@sveltejs/kit": "2"}}, {"svelte.config.js": "import a from '@sveltejs/adapter-node'; a({out: 'srv'})"}, (NODE, "srv/index.js")),
        ({"scripts": {"start": "astro dev"}, "dependencies": {"astro": "5", "@astrojs/node": "9"}}, {"astro.config.mjs": "import node from '@astrojs/node'; adapter: node({mode: 'standalone'})"}, (NODE, "dist/server/entry.mjs")),
        ({"scripts": {"start": "nest start", "start:prod": "node dist/main"}, "dependencies": {"@nestjs/core": "10"}}, {}, (NODE, "dist/main.js")),
        ({"scripts": {"start": "webpack serve", "start:prod": "node dist/main"}, "devDependencies": {"webpack": "5"}}, {}, (NODE, "dist/main")),
        ({"scripts": {"start": "vinxi start"}, "dependencies": {"@solidjs/start": "1"}}, {}, (NODE, ".output/server/index.mjs")),
    ],
)  # fmt: skip
def test_a_toolkit_has_its_own_server(tmp_path, package, files, command):
    assert start_of(tmp_path, {"package.json": package, **files}).command == command


def test_a_toolkits_server_is_told_where_to_listen(tmp_path):
    package = {"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-node": "5"}}
    assert start_of(tmp_path, {"package.json": package}).environment == {
        "HOST": HOST, "PORT": PORT, "PROTOCOL_HEADER": "x-forwarded-proto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("package", "files", "says"),
    [
        ({"scripts": {"start": "react-scripts start"}, "dependencies": {"react-scripts": "5"}}, {}, "static runtime"),
        ({"scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}, {"index.html": ""}, "built into dist/"),
        ({"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-auto": "3"}}, {"svelte.config.js": "import a from '@sveltejs/adapter-auto'"}, "@sveltejs/adapter-auto, which makes nothing"),
        ({"dependencies": {"astro": "5"}}, {"astro.config.mjs": "output: 'server'"}, "npx astro add node"),
        ({"dependencies": {"express": "4"}}, {"readme.md": ""}, "{server,app,index,main}"),
        ({"main": "gone.js"}, {}, "gone.js (there is no such file)"),
    ],
)  # fmt: skip
def test_nothing_to_start_is_said_with_what_was_looked_at(tmp_path, package, files, says):
    with pytest.raises(NoStartCommand) as caught:
        start_of(tmp_path, {"package.json": package, **files})
    assert says in str(caught.value)


def monorepo(start="", **packages):
    root = {"private": True, "workspaces": ["apps/*", "packages/**"]}
    files = {"package.json": root | ({"scripts": {"start": start}} if start else {})}
    for name, package in packages.items():
        folder = f"apps/{name}" if "start" in str(package) else f"packages/{name}"
        files[f"{folder}/package.json"] = {"name": f"@shop/{name}", **package}
    return files


SERVER = {"scripts": {"start": "node index.js", "build": "x"}}


@pytest.mark.parametrize(
    "start",
    [
        "",
        "npm start -w @shop/api",
        "npm run start --workspace=apps/api",
        "npm --prefix apps/api start",
        "yarn workspace @shop/api start",
        "yarn --cwd apps/api start",
        "pnpm --filter @shop/api start",
        "pnpm -F api run start",
        "pnpm --filter=./apps/api start",
        "pnpm -C apps/api start",
        "turbo run start",
        "turbo start --filter=@shop/api",
        "npx turbo run start",
        "lerna run start --scope @shop/api",
        "nx run api:start",
        "cd apps/api && npm start",
        "cd apps && cd api && yarn start",
    ],
)
def test_the_package_of_a_monorepo_is_found(tmp_path, start):
    found = start_of(tmp_path, monorepo(start, api=SERVER, ui={"main": "x.js"}))
    assert found.folder == "apps/api"
    assert found.command[:2] == ("sh", "-c")
    assert found.command[3:] == ("apps/api", NODE, "index.js")


def test_a_folder_is_gone_to_with_any_shell(tmp_path):
    (tmp_path / "a b/node_modules/.bin").mkdir(parents=True)
    program = tmp_path / "a b/node_modules/.bin/hello"
    program.write_text('#!/bin/sh\npwd; echo "$@"\n')
    program.chmod(0o755)
    files = {"package.json": {"scripts": {"start": "cd 'a b' && hello 'x y'"}}}
    command = [plain(word) for word in start_of(tmp_path, files).command]
    said = subprocess.check_output(command, cwd=tmp_path, text=True).splitlines()
    assert said == [str(tmp_path / "a b"), "x y"]


def test_libraries_of_a_monorepo_are_not_started(tmp_path):
    files = monorepo(api=SERVER, ui={"main": "x.js"}) | {"packages/ui/x.js": "exports.x = 1"}
    assert start_of(tmp_path, files).folder == "apps/api"


def test_pnpms_workspaces_are_read_from_their_own_file(tmp_path):
    files = {
        "package.json": {},
        "pnpm-workspace.yaml": "packages:\n  - 'apps/*'\n  - '!apps/old'\n",
        "apps/web/package.json": SERVER,
        "apps/old/package.json": SERVER,
    }
    assert start_of(tmp_path, files).folder == "apps/web"


def test_several_that_could_be_started_are_named(tmp_path):
    with pytest.raises(NoStartCommand) as caught:
        start_of(tmp_path, monorepo(api=SERVER, web=SERVER))
    assert "apps/api" in caught.value.details
    assert "apps/web" in caught.value.details
    assert "workspace: apps/api" in caught.value.resolution


def test_the_settings_say_which_workspace(tmp_path):
    files = monorepo(api=SERVER, web=SERVER)
    assert start_of(tmp_path, files, workspace="apps/web").folder == "apps/web"
    assert start_of(tmp_path, files, workspace="@shop/web").folder == "apps/web"
    with pytest.raises(ConfigurationError, match=r"apps/api, apps/web"):
        start_of(tmp_path, files, workspace="apps/none")


@pytest.mark.parametrize(
    ("entrypoint", "command"),
    [
        ("prod", (NODE, "p.js")),
        ("bin/www", (NODE, "bin/www")),
        ("lib/x.js", (NODE, "lib/x.js")),
        ("lib/x", (NODE, "lib/x.js")),
        ("dist/later.js", (NODE, "dist/later.js")),
    ],
)
def test_the_settings_say_what_is_started(tmp_path, entrypoint, command):
    files = scripts("node s.js", prod="node p.js") | {"bin/www": "", "lib/x.js": ""}
    assert start_of(tmp_path, files, entrypoint=entrypoint).command == command


@pytest.mark.parametrize("entrypoint", ["gone", "../x.js", "/etc/passwd", "", "lib"])
def test_an_entry_point_that_is_not_there_is_refused(tmp_path, entrypoint):
    files = {"package.json": {"scripts": {"start": "node s.js"}}, "lib/readme": ""}
    if not entrypoint:
        assert start_of(tmp_path, files, entrypoint=entrypoint).command == (NODE, "s.js")
        return
    with pytest.raises(ConfigurationError, match=r"node\.entrypoint"):
        start_of(tmp_path, files, entrypoint=entrypoint)


def test_plain_texts_are_what_sh_makes_of_them():
    random.seed(7)
    pieces = [
        "a",
        "b c",
        "'x y'",
        '"p q"',
        "\\ ",
        "\\$",
        "$",
        "'$X'",
        '"\\""',
        "=",
        "-",
        "é",
        "{1,2}",
        "a#b",
        "a~",
        "!",
        "^",
    ]
    seen = 0
    for _ in range(400):
        text = "printf '%s\\n' " + "".join(random.choice(pieces) + random.choice(["", " "]) for _ in range(4))
        lines = parse(text)
        if lines is None:
            continue
        seen += 1
        said = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout
        ours = subprocess.run(
            [plain(word) for word in lines[0].words], capture_output=True, text=True, check=True
        )
        assert ours.stdout == said, text
    assert seen > 100


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_words_survive_being_made_text_again():
    words = ("printf", "%s|", "a b", "it's", '"', "$$X", "${PORT}", "x${PORT}y z", "", "$$", "`", "\\")
    said = subprocess.check_output(["bash", "-c", as_shell(words)], env={"PORT": "8 0"}, text=True)
    assert said == "a b|it's|\"|$X|8 0|x8 0y z||$|`|\\|"
    assert shlex.split(as_shell(("a", "b c"))) == ["a", "b c"]


def test_no_script_crashes(tmp_path):
    random.seed(13)
    words = ["node", "npm", "run", "yarn", "pnpm", "bun", "npx", "start", "x", "-w", "--filter", "--prefix", "-C", "=", "&&",
             ";", "cd", "..", "cross-env", "A=1", "A=", "nodemon", "--exec", "-x", "''", '"', "$PORT", "$", "turbo", "nx",
             "serve", "-l", "next", "dev", "-", "--", "ts-node", "x.ts", "tsx", "watch", "exec", "env", "-i", "set", "{}",
             "workspace", "pm2", "é", "\t", "\\", "build", "export", "--import", "-r"]  # fmt: skip
    for number in range(1500):
        text = " ".join(random.choice(words) for _ in range(random.randrange(1, 7)))
        other = " ".join(random.choice(words) for _ in range(random.randrange(1, 4)))
        files = {
            "package.json": {
                "scripts": {"start": text, "x": other, "build": "b"},
                "devDependencies": {"tsx": "1"},
            }
        }
        try:
            found = start_of(tmp_path, files)
        except StagerError as error:
            assert error.resolution, text  # noqa: PT017  (some are fine)
        else:
            assert found.command, (number, text)
