"""What is found to be started, in trees as people upload them."""

import random

import pytest

from stager.errors import ConfigurationError, NoStartCommand, PlanError, StagerError
from stager.plugins.python_wsgi.reading.entrypoint import find_application, read_entrypoint, read_mounts
from stager.source.tree import Tree

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
BARE = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"
GUARD = "if __name__ == '__main__':\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', '{}')\n"
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"


def tree(root, files):
    """A source tree of a mapping from path to text or bytes."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Tree.of_directory(root)


def spelled(found):
    """One text for what was found: the entry point as a user would write it, and what it speaks."""
    if found.mount is None:
        return f"{'script' if found.is_web else 'program'} {found.script}"
    mount = found.mount
    place = f"{mount.folder}/" if mount.folder else ""
    text = f"{place}{mount.module}:{mount.callable}{'()' if mount.is_factory else ''}"
    return f"{found.interface} {'file ' if mount.is_file else ''}{text}"


def find(root, files):
    return find_application(tree(root, files))


def ending(call, *arguments):
    """The exit code of a call; whatever else than an error of stager's it raises is a crash."""
    try:
        call(*arguments)
    except StagerError as error:
        return error.exit_code
    return 0


# One module, and what is in it.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FLASK, "wsgi app:app"),
        (FASTAPI, "asgi app:app"),
        (BARE, "wsgi app:application"),
        ("import flask\napp = flask.Flask('x')\n", "wsgi app:app"),
        ("import flask as f\napplication = f.Flask('x')\n", "wsgi app:application"),
        ("from flask import *\napp = Flask('x')\n", "wsgi app:app"),
        ("from fastapi import FastAPI as F\nservice = F()\n", "asgi app:service"),
        ("from starlette.applications import Starlette\napp = Starlette()\n", "asgi app:app"),
        ("from quart import Quart\napp = Quart(__name__)\n", "asgi app:app"),
        ("from litestar import Litestar\napp = Litestar([])\n", "asgi app:app"),
        ("from blacksheep import Application\napp = Application()\n", "asgi app:app"),
        ("import connexion\napp = connexion.FlaskApp(__name__)\n", "asgi app:app"),
        ("import falcon\napi = falcon.API()\n", "wsgi app:api"),
        ("import falcon\napp = falcon.App()\n", "wsgi app:app"),
        ("import falcon.asgi\napp = falcon.asgi.App()\n", "asgi app:app"),
        ("from falcon.asgi import App\napp = App()\n", "asgi app:app"),
        ("import bottle\napp = bottle.Bottle()\n", "wsgi app:app"),
        ("import bottle\napplication = bottle.default_app()\n", "wsgi app:application"),
        (
            (
                "from pyramid.config import Configurator\nwith Configurator() as config:\n"
                "    app = config.make_wsgi_app()\n"
            ),
            "wsgi app:app",
        ),
        (
            "import cherrypy\ncherrypy.tree.mount(object())\napplication = cherrypy.tree\n",
            "wsgi app:application",
        ),
        ("import web\napp = web.application((), {})\napplication = app.wsgifunc()\n", "wsgi app:application"),
        ("from fasthtml.common import *\napp, rt = fast_app()\n", "asgi app:app"),
        ("from sanic import Sanic\napp = Sanic('x')\n", "asgi app:app"),
        ("import dash\napp = dash.Dash(__name__)\nserver = app.server\n", "wsgi app:server"),
        (
            (
                "from flask import Flask\nfrom dash import Dash\n"
                "server = Flask('x')\napp = Dash(server=server)\n"
            ),
            "wsgi app:server",
        ),
        (
            (
                "from flask import Flask\n"
                "from werkzeug.middleware.proxy_fix import ProxyFix\napp = Flask('x')\n"
                "app = ProxyFix(app, x_for=1)\n"
                ""
            ),
            "wsgi app:app",
        ),
        (
            (
                "from flask import Flask\nfrom werkzeug.middleware.dispatcher import DispatcherMiddleware\n"
                "one = Flask('x')\napplication = DispatcherMiddleware(one, {'/b': one})\n"
            ),
            "wsgi app:application",
        ),
        (
            (
                "from whitenoise import WhiteNoise\nfrom flask import Flask\n"
                "application = WhiteNoise(Flask('x'), root='static')\n"
            ),
            "wsgi app:application",
        ),
        (
            (
                "from flask import Flask\nfrom asgiref.wsgi import WsgiToAsgi\nflask_app = Flask('x')\n"
                "app = WsgiToAsgi(flask_app)\n"
            ),
            "asgi app:app",
        ),
        (
            (
                "from a2wsgi import ASGIMiddleware\nfrom fastapi import FastAPI\napp = FastAPI()\n"
                "application = ASGIMiddleware(app)\n"
            ),
            "wsgi app:application",
        ),
        (
            (
                "import socketio\nfrom fastapi import FastAPI\n"
                "app = FastAPI()\nsio = socketio.AsyncServer()\n"
                "app = socketio.ASGIApp(sio, app)\n"
                ""
            ),
            "asgi app:app",
        ),
        (
            (
                "from flask import Flask\nfrom flask_restful import Api\n"
                "service = Flask('x')\napi = Api(service)\n"
            ),
            "wsgi app:service",
        ),
        (
            (
                "from flask import Flask\nfrom flask_sqlalchemy import SQLAlchemy\n"
                "x = Flask('x')\ndb = SQLAlchemy(x)\n"
            ),
            "wsgi app:x",
        ),
        ("def app(env, sr):\n    return []\n", "wsgi app:app"),
        ("def hello(environ, start_response):\n    return []\n", "wsgi app:hello"),
        ("async def app(scope, receive, send):\n    pass\n", "asgi app:app"),
        (
            (
                "class Site:\n    def __call__(self, environ, start_response):\n"
                "        return []\napplication = Site()\n"
            ),
            "wsgi app:application",
        ),
        (
            (
                "class Site:\n    async def __call__(self, scope, receive, send):\n"
                "        pass\nserve = Site()\n"
            ),
            "asgi app:serve",
        ),
        (
            (
                "class application:\n    def __init__(self, environ, start_response):\n        pass\n"
                "    def __iter__(self):\n        yield b''\n"
            ),
            "wsgi app:application",
        ),
        ("from flask import Flask\nclass Shop(Flask):\n    pass\nshop = Shop('x')\n", "wsgi app:shop"),
        (
            (
                "from werkzeug.wrappers import Request\n"
                "@Request.application\ndef application(request):\n    pass\n"
            ),
            "wsgi app:application",
        ),
        (
            "from webob.dec import wsgify\n@wsgify\ndef application(request):\n    pass\n",
            "wsgi app:application",
        ),
        (
            "app = application = __import__('x')\nfrom flask import Flask\napplication = Flask('x')\n",
            "wsgi app:application",
        ),
        (
            "try:\n    from flask import Flask\n    app = Flask('x')\nexcept ImportError:\n    app = None\n",
            "wsgi app:app",
        ),
        (
            (
                "import os\nfrom flask import Flask\nif os.environ.get('X'):\n"
                "    app = Flask('a')\nelse:\n    app = Flask('b')\n"
            ),
            "wsgi app:app",
        ),
        ("from flask import Flask\napp: Flask = Flask('x')\n", "wsgi app:app"),
        (
            "from flask import Flask\nif (app := Flask('x')):\n    app.debug = False\nother = app\n",
            "wsgi app:app",
        ),
        ("from mystery import make_something\napplication = make_something()\n", "wsgi app:application"),
        (FACTORY, "wsgi app:create_app()"),
        (FACTORY + "app = create_app()\n", "wsgi app:app"),
        (
            "from fastapi import FastAPI\ndef make_app() -> FastAPI:\n    return assemble()\n",
            "asgi app:make_app()",
        ),
        (
            (
                "from fastapi import FastAPI\ndef create_application(*, debug=False):\n"
                "    return FastAPI(debug=debug)\n"
            ),
            "asgi app:create_application()",
        ),
        (FLASK + "application = app\n", "wsgi app:application"),
        ("from flask import Flask\nother = Flask('a')\napi = Flask('b')\n", "wsgi app:api"),
        (
            "from flask import Flask\ndef _make():\n    return Flask('x')\napplication = _make()\n",
            "wsgi app:application",
        ),
        (
            (
                "from flask import Flask\ndef make(kind):\n"
                "    app = Flask('x')\n    return app\napp = make('a')\n"
            ),
            "wsgi app:app",
        ),
        ("app = lambda environ, start_response: []\n", "wsgi app:app"),
        ("from flask import Flask\napp = Flask('x') or None\n", "wsgi app:app"),
        (
            (
                "from wsgiref.validate import validator\n"
                "from flask import Flask\nx = Flask('x')\napp = validator(x)\n"
            ),
            "wsgi app:app",
        ),
        ("import typer\nfrom flask import Flask\napp = typer.Typer()\nweb = Flask('x')\n", "wsgi app:web"),
        (
            "from celery import Celery\nfrom fastapi import FastAPI\napp = Celery('x')\napi = FastAPI()\n",
            "asgi app:api",
        ),
        ("from ariadne.asgi import GraphQL\napp = GraphQL(schema)\n", "asgi app:app"),
        ("from prometheus_client import make_wsgi_app\napp = make_wsgi_app()\n", "wsgi app:app"),
        (
            (
                "from tornado.web import Application\nfrom tornado.wsgi import WSGIAdapter\n"
                "application = WSGIAdapter(Application([]))\n"
            ),
            "wsgi app:application",
        ),
    ],
)
def test_an_application_is_known_by_what_makes_it(tmp_path, text, expected):
    assert spelled(find(tmp_path, {"app.py": text})) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FLASK + "app.run()\n", "script app.py"),
        (FLASK + "import waitress\nwaitress.serve(app, port=8080)\n", "script app.py"),
        (FLASK + "from waitress import serve\nserve(app)\n", "script app.py"),
        (FASTAPI + "import uvicorn\nuvicorn.run(app)\n", "script app.py"),
        (FLASK + "def main():\n    app.run()\nmain()\n", "script app.py"),
        (
            BARE + "from wsgiref.simple_server import make_server\n"
            "with make_server('', 8000, application) as server:\n    server.serve_forever()\n",
            "script app.py",
        ),
        (FLASK + "import bjoern\nbjoern.run(app, '0.0.0.0', 80)\n", "script app.py"),
        (
            FLASK + "from gevent.pywsgi import WSGIServer\nWSGIServer(('', 80), app).serve_forever()\n",
            "script app.py",
        ),
        (FLASK + "from flask_socketio import SocketIO\ns = SocketIO(app)\ns.run(app)\n", "script app.py"),
        (BARE + "import os\nos.execvp('gunicorn', ['gunicorn', 'app'])\n", "script app.py"),
        (FLASK + "import subprocess\nsubprocess.run(['gunicorn', 'app:app'])\n", "script app.py"),
        (FLASK + "if True:\n    try:\n        app.run()\n    finally:\n        pass\n", "script app.py"),
        (FLASK + f"{GUARD}    app.run()\n", "wsgi app:app"),
        (FLASK + "if '__main__' == __name__:\n    app.run()\n", "wsgi app:app"),
        (FLASK + "if __name__ != '__main__':\n    pass\nelse:\n    app.run()\n", "wsgi app:app"),
        (FLASK + "def main():\n    app.run()\n", "wsgi app:app"),
        (FLASK + "if __name__ in ('__main__', 'x'):\n    app.run()\n", "wsgi app:app"),
        (f"from aiohttp import web\napp = web.Application()\n{GUARD}    web.run_app(app)\n", "script app.py"),
        ("from aiohttp import web\nweb.run_app(web.Application())\n", "script app.py"),
        (f"import dash\napp = dash.Dash('x')\n{GUARD}    app.run(debug=True)\n", "script app.py"),
        (f"import dash\napp = dash.Dash('x')\n{GUARD}    app.run_server()\n", "script app.py"),
        ("import gradio as gr\ndemo = gr.Interface(str, 'a', 'b')\ndemo.launch()\n", "script app.py"),
        (
            "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Textbox()\ndemo.launch()\n",
            "script app.py",
        ),
        ("from nicegui import ui\nui.label('x')\nui.run()\n", "script app.py"),
        (
            (
                "import tornado.ioloop, tornado.web\napp = tornado.web.Application([])\napp.listen(8888)\n"
                "tornado.ioloop.IOLoop.current().start()\n"
            ),
            "script app.py",
        ),
        (
            (
                "import asyncio, tornado.web\nasync def main():\n"
                "    app = tornado.web.Application([])\n    app.listen(80)\n"
                "    await asyncio.Event().wait()\n"
                "asyncio.run(main())\n"
            ),
            "script app.py",
        ),
        ("from http.server import HTTPServer\nHTTPServer(('', 80), None).serve_forever()\n", "script app.py"),
        (
            (
                f"import socketserver\n{GUARD}    with socketserver.TCPServer(('', 1), None) as s:\n"
                "        s.serve_forever()\n"
            ),
            "script app.py",
        ),
        (
            (
                f"import uvicorn\nfrom fastapi import FastAPI\n"
                f"def main():\n    app = FastAPI()\n    uvicorn.run(app)\n"
                f"{GUARD}    main()\n"
            ),
            "script app.py",
        ),
        ("import cherrypy\nclass A:\n    pass\ncherrypy.quickstart(A())\n", "script app.py"),
        (
            (
                "import asyncio\nfrom hypercorn.asyncio import serve\n"
                "from x import y\nasyncio.run(serve(y, None))\n"
            ),
            "script app.py",
        ),
        (
            "import bottle\n@bottle.route('/')\ndef f():\n    return ''\nbottle.run(host='', port=80)\n",
            "script app.py",
        ),
        (f"from bottle import route, run\n{GUARD}    run(port=80)\n", "script app.py"),
        (
            f"from robyn import Robyn\napp = Robyn(__file__)\n{GUARD}    app.start(port=8080)\n",
            "script app.py",
        ),
        (
            (
                "import asyncio\nasync def main():\n    server = await asyncio.start_server(print, '', 80)\n"
                "    await server.serve_forever()\nasyncio.run(main())\n"
            ),
            "script app.py",
        ),
        ("import uvicorn\nserver = uvicorn.Server(uvicorn.Config(None))\nserver.run()\n", "script app.py"),
    ],
)
def test_a_file_with_a_server_of_its_own_is_a_script(tmp_path, text, expected):
    found = find(tmp_path, {"app.py": text})
    assert spelled(found) == expected
    assert "app.py line " in found.why


def test_why_says_that_importing_would_start_the_server(tmp_path):
    found = find(tmp_path, {"app.py": FLASK + "app.run()\n"})
    assert (
        found.why == "app.py line 3: app.run(); importing it starts a server, so that it is run as a script"
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main.py": "print('hello')\n"}, "program main.py"),
        ({"worker.py": "import time\nwhile True:\n    time.sleep(1)\n"}, "program worker.py"),
        ({"bot.py": "import discord\nclient = discord.Client()\nclient.run('token')\n"}, "program bot.py"),
        ({"run.py": f"def main():\n    pass\n{GUARD}    main()\n", "lib.py": "X = 1\n"}, "program run.py"),
        (
            {
                "start.py": (
                    "import asyncio\nasync def main():\n    await asyncio.sleep(1)\nasyncio.run(main())\n"
                )
            },
            "program start.py",
        ),
        (
            {"job.py": f"{GUARD}    print(1)\n", "setup.py": "from setuptools import setup\nsetup()\n"},
            "program job.py",
        ),
        (
            {
                "main.py": (
                    "import telegram.ext\n"
                    "app = telegram.ext.ApplicationBuilder().build()\napp.run_polling()\n"
                )
            },
            "program main.py",
        ),
        (
            {"app.py": "import schedule\nschedule.every(5)\nwhile True:\n    schedule.run_pending()\n"},
            "program app.py",
        ),
        ({"main.py": "from celery import Celery\napp = Celery('x')\nprint(app)\n"}, "program main.py"),
    ],
)
def test_a_program_without_a_server_is_no_web_process(tmp_path, files, expected):
    assert spelled(find(tmp_path, files)) == expected


# Several files, and the order among them.


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"wsgi.py": BARE, "app.py": FLASK, "main.py": FASTAPI}, "wsgi wsgi:application"),
        ({"asgi.py": FASTAPI, "app.py": FLASK}, "asgi asgi:app"),
        ({"application.py": FLASK, "app.py": FLASK}, "wsgi application:app"),
        ({"app.py": FLASK, "main.py": FLASK}, "wsgi app:app"),
        ({"main.py": FLASK, "server.py": FLASK}, "wsgi main:app"),
        ({"server.py": FLASK, "zebra.py": FLASK}, "wsgi server:app"),
        ({"hello.py": FLASK}, "wsgi hello:app"),
        ({"wsgi/application": BARE}, "wsgi file wsgi/application:application"),
        ({"site.wsgi": BARE}, "wsgi file site.wsgi:application"),
        ({"my-app.py": FLASK}, "wsgi file my-app.py:app"),
        ({"my app.py": FLASK}, "wsgi file my app.py:app"),
        ({"class.py": FLASK}, "wsgi file class.py:app"),
        ({"site.py": FLASK}, "wsgi file site.py:app"),
        ({"src/main.py": FLASK}, "wsgi src/main:app"),
        ({"src/shop/__init__.py": "", "src/shop/wsgi.py": FLASK}, "wsgi src/shop.wsgi:app"),
        ({"src/__init__.py": "", "src/main.py": FLASK}, "wsgi src.main:app"),
        (
            {"src/main.py": f"from src.models import x\n{FLASK}", "src/models.py": "x = 1\n"},
            "wsgi src.main:app",
        ),
        (
            {"backend/main.py": f"from models import x\n{FLASK}", "backend/models.py": "x = 1\n"},
            "wsgi backend/main:app",
        ),
        (
            {"backend/main.py": f"from .models import x\n{FLASK}", "backend/models.py": "x = 1\n"},
            "wsgi backend.main:app",
        ),
        (
            {"backend/main.py": f"from backend.m import x\n{FLASK}", "backend/m.py": "x = 1\n"},
            "wsgi backend.main:app",
        ),
        ({"app/__init__.py": FLASK}, "wsgi app:app"),
        ({"app/__init__.py": FACTORY}, "wsgi app:create_app()"),
        ({"app/__init__.py": "", "app/main.py": FASTAPI}, "asgi app.main:app"),
        ({"api/main.py": FASTAPI, "shop/main.py": FASTAPI}, "asgi api/main:app"),
        (
            {
                "pyproject.toml": "[project]\nname = 'My-Shop'\n",
                "my_shop/__init__.py": FLASK,
                "abc/__init__.py": FLASK,
            },
            "wsgi my_shop:app",
        ),
        (
            {
                "pyproject.toml": "[tool.poetry]\nname = 'zoo'\n",
                "src/zoo/__init__.py": "",
                "src/zoo/app.py": FLASK,
            },
            "wsgi src/zoo.app:app",
        ),
        ({"shop/__init__.py": "", "shop/web/__init__.py": FLASK}, "wsgi shop.web:app"),
        ({"shop/web/app.py": FLASK}, "wsgi shop/web/app:app"),
        ({"tests/app.py": FLASK, "shop/__init__.py": FLASK}, "wsgi shop:app"),
        ({"wsgi.py": "from shop import app\n", "shop/__init__.py": FLASK}, "wsgi wsgi:app"),
        ({"wsgi.py": "from shop import app as application\n", "shop.py": FLASK}, "wsgi wsgi:application"),
        (
            {"wsgi.py": "from shop import create_app\napplication = create_app()\n", "shop.py": FACTORY},
            "wsgi wsgi:application",
        ),
        (
            {
                "wsgi.py": "import shop.web\napplication = shop.web.app\n",
                "shop/__init__.py": "",
                "shop/web.py": FASTAPI,
            },
            "asgi wsgi:application",
        ),
        (
            {
                "main.py": f"from shop import create_app\n{GUARD}    create_app().run()\n",
                "shop/__init__.py": FACTORY,
            },
            "wsgi main:create_app()",
        ),
        ({"wsgi.py": "from shop import *\n", "shop.py": FLASK}, "wsgi wsgi:app"),
        (
            {"run.py": f"from app import app\n{GUARD}    app.run()\n", "app/__init__.py": FLASK},
            "wsgi app:app",
        ),
        (
            {
                "main.py": f"import uvicorn\n{GUARD}    uvicorn.run('shop.web:app', port=1)\n",
                "shop/web.py": FASTAPI,
            },
            "asgi shop/web:app",
        ),
        (
            {
                "main.py": "from a import app\n",
                "a.py": "from b import app\n",
                "b.py": "from c import app\n",
                "c.py": FASTAPI,
            },
            "asgi main:app",
        ),
        (
            {"main.py": "from a import app\n", "a.py": "from main import app\n", "server.py": FLASK},
            "wsgi server:app",
        ),
        (
            {"main.py": "from qt import QApplication\napp = QApplication([])\n", "server.py": FLASK},
            "wsgi server:app",
        ),
        (
            {"lib.py": "X = 1\n", "env/pyvenv.cfg": "", "env/lib/app.py": FLASK, "zoo.py": FLASK},
            "wsgi zoo:app",
        ),
        ({"app.py": FLASK, "manage.py": "from flask_script import Manager\n"}, "wsgi app:app"),
    ],
)
def test_the_order_among_files(tmp_path, files, expected):
    assert spelled(find(tmp_path, files)) == expected


def test_an_executable_app_sh_comes_first(tmp_path):
    files = {"app.sh": "#!/bin/sh\n", "app.py": FLASK}
    assert spelled(find(tmp_path, files)) == "wsgi app:app"
    (tmp_path / "app.sh").chmod(0o755)
    found = find_application(Tree.of_directory(tmp_path))
    assert (found.script, found.is_web, found.why) == ("app.sh", True, "app.sh is executable")
    assert found.others == ("app.py: app",)


def test_the_reason_names_file_line_and_statement(tmp_path):
    found = find(tmp_path, {"app.py": "\n\n" + FLASK})
    assert found.why == "app.py line 4: app = Flask(__name__)"


def test_the_weaker_reason_is_said(tmp_path):
    found = find(tmp_path, {"wsgi.py": "from x import make\napplication = make()\n"})
    assert "taken for an application by its name" in found.why


def test_what_else_could_have_been_meant_is_listed_in_order(tmp_path):
    files = {
        "app.py": FLASK + "api = Flask('b')\n",
        "main.py": FASTAPI,
        "shop/__init__.py": "from flask import Flask\nweb = Flask('x')\n",
    }
    assert find(tmp_path, files).others == ("app.py: api", "main.py: app", "shop/__init__.py: web")


def test_one_application_under_two_names_is_one(tmp_path):
    files = {"wsgi.py": "from shop import app as application\n", "shop.py": FLASK}
    assert find(tmp_path, files).others == ()


def test_a_factory_that_made_the_application_is_no_alternative(tmp_path):
    files = {"wsgi.py": "from shop import create_app\napplication = create_app()\n", "shop.py": FACTORY}
    assert find(tmp_path, files).others == ()


# Django.


def django(settings="", name="mysite", folder=""):
    return {
        f"{folder}manage.py": MANAGE.format(f"{name}.settings"),
        f"{folder}{name}/__init__.py": "",
        f"{folder}{name}/settings.py": settings,
        f"{folder}{name}/wsgi.py": WSGI,
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (django("WSGI_APPLICATION = 'mysite.wsgi.application'\n"), "wsgi mysite.wsgi:application"),
        (django(), "wsgi mysite.wsgi:application"),
        (django() | {"app.py": FLASK, "wsgi.py": BARE}, "wsgi mysite.wsgi:application"),
        (django(folder="site/"), "wsgi site/mysite.wsgi:application"),
        (django(folder="a/b/"), "wsgi a/b/mysite.wsgi:application"),
        (django() | {"mysite/asgi.py": ASGI}, "wsgi mysite.wsgi:application"),
        (django("INSTALLED_APPS = ['daphne']\n") | {"mysite/asgi.py": ASGI}, "asgi mysite.asgi:application"),
        (
            django("INSTALLED_APPS = ['channels']\nASGI_APPLICATION = 'mysite.routing.application'\n")
            | {
                "mysite/routing.py": (
                    "from channels.routing import ProtocolTypeRouter\napplication = ProtocolTypeRouter({})\n"
                )
            },
            "asgi mysite.routing:application",
        ),
        (
            {"manage.py": MANAGE.format("m.settings"), "m/settings.py": "", "m/asgi.py": ASGI},
            "asgi m.asgi:application",
        ),
        (django("WSGI_APPLICATION = 'nowhere.wsgi.application'\n"), "wsgi mysite.wsgi:application"),
        (
            {
                "manage.py": MANAGE.format("c.settings.local"),
                "c/settings/local.py": "from .base import *\n",
                "c/settings/base.py": "WSGI_APPLICATION = 'c.wsgi.app'\n",
                "c/wsgi.py": WSGI + "app = application\n",
            },
            "wsgi c.wsgi:app",
        ),
    ],
)
def test_a_django_project_is_found(tmp_path, files, expected):
    found = find(tmp_path, files)
    assert spelled(found) == expected
    assert found.project is not None
    assert found.mount.is_django


def test_another_project_is_named(tmp_path):
    found = find(tmp_path, django() | django(name="other", folder="second/"))
    assert found.project.folder == ""
    assert "second/manage.py" in found.others


# Nothing.


@pytest.mark.parametrize("files", [{}, {"readme.txt": ""}, {"lib.py": "X = 1\n"}, {"a/b/c/d/app.py": FLASK}])
def test_nothing_is_an_error_that_says_what_to_write(tmp_path, files):
    with pytest.raises(NoStartCommand) as caught:
        find(tmp_path, files)
    assert "python_wsgi: {entrypoint:" in caught.value.resolution
    assert "Procfile" in caught.value.resolution


def test_the_error_lists_what_was_looked_at(tmp_path):
    with pytest.raises(NoStartCommand) as caught:
        find(tmp_path, {"app.py": "x = 1\n", "shop/__init__.py": "", "shop/api.py": ""})
    for path in ("app.py", "shop/__init__.py", "shop/api.py"):
        assert f"  {path}" in caught.value.details


def test_a_factory_that_needs_arguments_is_explained(tmp_path):
    with pytest.raises(NoStartCommand) as caught:
        find(tmp_path, {"shop/__init__.py": "def create_app(config):\n    pass\n"})
    assert "shop/__init__.py: create_app(config) needs arguments" in caught.value.details


@pytest.mark.parametrize(
    ("package", "command"), [("streamlit", "streamlit run"), ("chainlit", "chainlit run")]
)
def test_a_tool_that_runs_scripts_by_a_command_is_named(tmp_path, package, command):
    with pytest.raises(NoStartCommand) as caught:
        find(tmp_path, {"app.py": f"import {package}\n{package}.title('x')\n"})
    assert f"web: {command} app.py" in caught.value.resolution


def test_an_app_sh_that_cannot_be_executed_is_mentioned(tmp_path):
    with pytest.raises(NoStartCommand) as caught:
        find(tmp_path, {"app.sh": "#!/bin/sh\n"})
    assert "app.sh: not executable" in caught.value.details


# Files that are hard to read.


def test_a_broken_file_is_named_with_its_line(tmp_path):
    with pytest.raises(PlanError) as caught:
        find(tmp_path, {"app.py": "from flask import Flask\napp = Flask(\nx = = 1\n"})
    assert caught.value.slug == "syntax-error"
    assert "app.py line " in caught.value.details
    assert "app = Flask(" in caught.value.details or "x = = 1" in caught.value.details


def test_python_2_is_recognised(tmp_path):
    with pytest.raises(PlanError) as caught:
        find(tmp_path, {"app.py": "print 'hello'\n"})
    assert "Python 2" in caught.value.resolution


def test_a_broken_file_that_the_entry_point_imports_matters(tmp_path):
    with pytest.raises(PlanError) as caught:
        find(tmp_path, {"wsgi.py": "from shop import app\n", "shop.py": "app = (\n"})
    assert "shop.py line 1" in caught.value.details


def test_a_broken_file_that_does_not_matter_is_passed_over(tmp_path):
    files = {"app.py": FLASK, "tool.py": "def (:\n", "main.py": "print 1\n"}
    assert spelled(find(tmp_path, files)) == "wsgi app:app"


def test_a_broken_file_is_the_error_where_nothing_else_is_found(tmp_path):
    with pytest.raises(PlanError) as caught:
        find(tmp_path, {"hello.py": "app = Flask(\n"})
    assert caught.value.exit_code == 30


@pytest.mark.parametrize(
    "newer",
    [
        "type Point = tuple[int, int]\n",
        "def first[T](items: list[T]) -> T:\n    return items[0]\n",
        "class Box[T]:\n    item: T\n",
        'x = f"{names["a"]}"\n',
        'def show():\n    return f"""\n{names["a"]}\n{"\\n".join(names)}\n"""\n',
        "x = t'hello'\n",
        "try:\n    pass\nexcept ValueError, TypeError:\n    pass\n",
    ],
)
def test_a_file_for_a_newer_python_is_read_all_the_same(tmp_path, newer):
    assert spelled(find(tmp_path, {"app.py": newer + FLASK})) == "wsgi app:app"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + FLASK.encode(),
        FLASK.replace("\n", "\r\n").encode(),
        FLASK.replace("\n", "\r").encode(),
        b"# -*- coding: latin-1 -*-\nname = '\xe9'\n" + FLASK.encode(),
        b"# -*- coding: cp1252 -*-\nname = '\x80'\n" + FLASK.encode(),
        FLASK.rstrip().encode(),
        b"\x0c\n" + FLASK.encode(),
        b"x = '\\d'\n" + FLASK.encode(),
    ],
)
def test_encodings_and_line_ends_do_not_matter(tmp_path, content):
    assert spelled(find(tmp_path, {"app.py": content})) == "wsgi app:app"


@pytest.mark.parametrize(
    "content",
    [
        b"x = 1\0\n",
        b"# coding: no-such-encoding\nx = 1\n",
        b"name = '\xe9'\n",
        b"\xff\xfe" + "app = 1\n".encode("utf-16-le"),
        b"(" * 5000,
        b"x = " + b"-" * 100_000 + b"1\n",
        b"x = " + b"a." * 100_000 + b"a\n",
        b"x = " + b"[" * 150 + b"]" * 150 + b"\n",
        b"x = " + b"a + " * 50_000 + b"a\n",
        b"if a:\n    pass\n" + b"elif b:\n    pass\n" * 5000,
        b"app = f(" * 90 + b")" * 90,
        b"app = x" + b".y()" * 3000 + b"\n",
        b"x = 1\n" * 400_000,
        b"app = " + b"lambda: " * 3000 + b"1\n",
    ],
    ids=range(14),
)
def test_what_cannot_be_read_ends_in_an_error_of_stagers(tmp_path, content):
    source = tree(tmp_path, {"app.py": content})
    # 0: a program, or what was said is believed.
    assert ending(find_application, source) in {0, 30, 32}
    assert ending(read_entrypoint, source, "app:app") in {0, 10, 30}


def test_odd_names_do_not_matter(tmp_path):
    for name in (b"a\nb.py", b"\xff\xfe.py", b"q'\".py", b" .py", b".py", "é.py".encode(), "ﬁ.py".encode()):
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_text("x = 1\n")
    odd = tmp_path / b"d\xff".decode("utf-8", "surrogateescape")
    odd.mkdir()
    (odd / "app.py").write_text(FLASK)
    with pytest.raises(NoStartCommand) as caught:
        find_application(Tree.of_directory(tmp_path))
    caught.value.details.encode()
    (tmp_path / b"\xff.py".decode("utf-8", "surrogateescape")).write_text(FLASK)
    found = find_application(Tree.of_directory(tmp_path))
    assert found.mount.is_file
    found.why.encode()


def test_random_changes_never_crash(tmp_path):
    chance = random.Random(7)
    texts = [FLASK + BARE, FASTAPI + GUARD + "    import uvicorn\n    uvicorn.run(app)\n", FACTORY + WSGI]
    for number in range(150):
        data = bytearray(chance.choice(texts).encode())
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        source = tree(folder, {"app.py": bytes(data), "manage.py": bytes(data)})
        assert ending(find_application, source) in {0, 30, 32}
        assert ending(read_entrypoint, source, "app:app") in {0, 10, 30}


# What a setting says.


SHOP = {
    "shop/__init__.py": "",
    "shop/wsgi.py": FLASK + "spare = Flask('b')\n",
    "shop/make.py": FACTORY,
    "src/zoo/__init__.py": FASTAPI,
    "my-app.py": FLASK,
    "hello.wsgi": BARE,
    "tool.py": "print(1)\n",
    "web.py": "from aiohttp import web\nweb.run_app(web.Application())\n",
    "nested/one/two.py": FLASK,
    "odd.py": "globals()['app'] = 1\n",
    "twice.py": "def create_app(config):\n    pass\nnumber = 7\n",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop.wsgi:app", "wsgi shop.wsgi:app"),
        (" shop.wsgi : app ", "wsgi shop.wsgi:app"),
        ("shop.wsgi:spare", "wsgi shop.wsgi:spare"),
        ("shop.wsgi", "wsgi shop.wsgi:app"),
        ("shop/wsgi.py", "wsgi shop.wsgi:app"),
        ("./shop/wsgi.py:spare", "wsgi shop.wsgi:spare"),
        ("shop/wsgi:app", "wsgi shop/wsgi:app"),
        ("shop.make:create_app()", "wsgi shop.make:create_app()"),
        ("shop.make:create_app", "wsgi shop.make:create_app()"),
        ("shop.make", "wsgi shop.make:create_app()"),
        ("zoo:app", "asgi src/zoo:app"),
        ("src/zoo:app", "asgi src/zoo:app"),
        ("my-app.py", "wsgi file my-app.py:app"),
        ("my-app.py:app", "wsgi file my-app.py:app"),
        ("my-app:app", "wsgi file my-app.py:app"),
        ("hello.wsgi", "wsgi file hello.wsgi:application"),
        ("hello.wsgi:application", "wsgi file hello.wsgi:application"),
        ("nested/one/two.py", "wsgi nested/one/two:app"),
        ("nested/one.two:app", "wsgi nested/one.two:app"),
        ("web.py", "script web.py"),
        ("web", "script web.py"),
        ("tool.py", "program tool.py"),
        ("odd:app", "wsgi odd:app"),
    ],
)
def test_an_entry_point_in_every_spelling(tmp_path, text, expected):
    found = read_entrypoint(tree(tmp_path, SHOP), text)
    assert spelled(found) == expected
    assert found.why.startswith("python_wsgi.entrypoint: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shop.wsgy:app", "shop.wsgi:app"),
        ("wsgi:app", "shop.wsgi:app"),
        ("two:app", "nested/one/two:app"),
        ("nowhere:app", "no module 'nowhere'"),
        ("shop.wsgi:ap", "Did you mean shop.wsgi:app?"),
        ("shop.wsgi:application", "Did you mean shop.wsgi:app?"),
        ("shop.wsgi:app()", "without the parentheses: shop.wsgi:app"),
        ("shop.make:create_app('x')", "call one that needs some in a module"),
        ("shop.wsgi:app.server", "write `server = app.server`"),
        ("twice:create_app", "cannot be called without arguments"),
        ("twice:number", "is not a WSGI or ASGI application"),
        ("shop", "has no application, and starts nothing"),
        ("../x:app", "has no .. in it"),
        ("/etc/app.py", "relative to the application's root"),
        ("shop.wsgi:", "no name"),
        (":app", "names no application"),
        ("", "names no application"),
        ("a b:c d", "is not a name"),
        ("\udcff:\n", "names no application"),
    ],
)
def test_a_wrong_entry_point_says_what_was_found_instead(tmp_path, text, said):
    with pytest.raises(ConfigurationError) as caught:
        read_entrypoint(tree(tmp_path, SHOP), text)
    assert said in str(caught.value)


def test_the_setting_that_was_wrong_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="Procfile, web"):
        read_entrypoint(tree(tmp_path, SHOP), "nowhere:app", "Procfile, web")


def test_a_broken_module_that_is_asked_for_is_an_error(tmp_path):
    with pytest.raises(PlanError) as caught:
        read_entrypoint(tree(tmp_path, {"app.py": "x = (\n"}), "app:app")
    assert "app.py line 1" in caught.value.details


def test_an_entry_point_of_a_django_project_knows_it(tmp_path):
    found = read_entrypoint(tree(tmp_path, django(folder="site/")), "site/mysite.wsgi:application")
    assert found.project.folder == "site"
    assert found.mount.is_django


def test_a_module_of_a_nested_project_is_found_from_its_folder(tmp_path):
    found = read_entrypoint(tree(tmp_path, django(folder="site/")), "mysite.wsgi:application")
    assert spelled(found) == "wsgi site/mysite.wsgi:application"


# Several URLs.


def test_mounts_come_with_the_longest_url_first(tmp_path):
    found = read_mounts(
        tree(tmp_path, SHOP), {"/": "shop.wsgi:app", "/api/": "shop.make:create_app()", "//b/c": "hello.wsgi"}
    )
    assert [one.mount.url for one in found] == ["/api", "/b/c", "/"]
    assert [spelled(one) for one in found] == [
        "wsgi shop.make:create_app()", "wsgi file hello.wsgi:application", "wsgi shop.wsgi:app",
    ]  # fmt: skip


def test_two_django_projects_in_mounts(tmp_path):
    files = django(folder="one/") | django(folder="two/")
    found = read_mounts(
        tree(tmp_path, files), {"/": "one/mysite.wsgi:application", "/two": "two/mysite.wsgi:application"}
    )
    assert [(one.mount.folder, one.project.folder, one.mount.is_django) for one in found] == [
        ("two", "two", True), ("one", "one", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ({"/a": "shop.wsgi:app", "/a/": "shop.wsgi:spare"}, "/a and /a/ are the same URL"),
        ({"/": "shop.wsgi:app", "//": "shop.wsgi:spare"}, "are the same URL"),
        ({"/": "shop.wsgi:app", "/z": "zoo:app"}, "WSGI and ASGI"),
        ({"/": "tool.py"}, "is a script"),
        ({"/": "web.py"}, "is a script"),
        ({"a": "shop.wsgi:app"}, "is not the path of a URL"),
        ({"/a/../b": "shop.wsgi:app"}, "is not the path of a URL"),
        ({"/a b": "shop.wsgi:app"}, "is not the path of a URL"),
        ({"/a?b": "shop.wsgi:app"}, "is not the path of a URL"),
        ({"/x": "nowhere:app"}, "python_wsgi.mounts, /x"),
    ],
)
def test_mounts_that_cannot_be(tmp_path, mounts, said):
    with pytest.raises(ConfigurationError) as caught:
        read_mounts(tree(tmp_path, SHOP), mounts)
    assert said in str(caught.value)


def test_no_mounts_are_none(tmp_path):
    assert read_mounts(tree(tmp_path, SHOP), {}) == ()
