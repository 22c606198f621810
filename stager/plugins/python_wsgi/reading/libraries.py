"""What well-known libraries' classes and functions make: a WSGI or ASGI application, or a server's own."""

from __future__ import annotations

from typing import Literal

#: ``own``: an object that only its own server can serve. ``nothing``: no web application at all.
#: ``keeps``: a wrapper that speaks what it wraps.
Makes = Literal["wsgi", "asgi", "own", "nothing", "keeps"]

#: By full name, where the top-level package and the last part do not tell.
EXACT: dict[str, Makes] = {
    "falcon.asgi.App": "asgi",
    "falcon.asgi.app.App": "asgi",
    "ariadne.asgi.GraphQL": "asgi",
    "strawberry.asgi.GraphQL": "asgi",
    "gradio.routes.App.create_app": "asgi",
    "gr.routes.App.create_app": "asgi",
    "sentry_sdk.integrations.asgi.SentryAsgiMiddleware": "asgi",
    "uvicorn.middleware.wsgi.WSGIMiddleware": "asgi",
    "starlette.middleware.wsgi.WSGIMiddleware": "asgi",
    "fastapi.middleware.wsgi.WSGIMiddleware": "asgi",
    "tornado.web.Application": "own",
    "tornado.wsgi.WSGIContainer": "own",
    "tornado.wsgi.WSGIAdapter": "wsgi",
    "tornado.wsgi.WSGIApplication": "wsgi",
    "cherrypy.tree": "wsgi",
    "cherrypy.tree.mount": "wsgi",
    "werkzeug.wsgi.responder": "wsgi",
}

_BY_INTERFACE: dict[Makes, str] = {
    "wsgi": """
        flask.Flask apiflask.APIFlask flask_openapi3.OpenAPI flask_api.FlaskAPI eve.Eve falcon.App
        falcon.API bottle.Bottle bottle.default_app bottle.app pyramid.get_app pyramid.Router molten.App
        hug.API django.get_wsgi_application configurations.get_wsgi_application django.WSGIHandler
        webapp2.WSGIApplication cherrypy.Application wsgiref.demo_app paste.loadapp pecan.make_app
        pecan.deploy spyne.WsgiApplication a2wsgi.ASGIMiddleware socketio.WSGIApp engineio.WSGIApp
        prometheus_client.make_wsgi_app ariadne.GraphQL pyramid.make_wsgi_app
        werkzeug.DispatcherMiddleware werkzeug.SharedDataMiddleware trac.dispatch_request
        flask_appbuilder.create_app airflow.create_app superset.create_app apistar.App webob.wsgify
        masonite.Application restless.App wsgidav.WsgiDAVApp radicale.application mercurial.hgweb
        opentelemetry.OpenTelemetryMiddleware newrelic.WSGIApplicationWrapper webtest.TestApp kajiki.App
    """,
    "asgi": """
        fastapi.FastAPI starlette.Starlette starlette.Router quart.Quart quart_trio.QuartTrio
        django.get_asgi_application configurations.get_asgi_application channels.get_default_application
        channels.ProtocolTypeRouter channels.get_channel_layer_application litestar.Litestar
        starlite.Starlite blacksheep.Application connexion.App connexion.FlaskApp connexion.AsyncApp
        connexion.FlaskApi fasthtml.FastHTML fasthtml.fast_app esmerald.Esmerald esmerald.Gateway
        ravyn.Ravyn lilya.Lilya responder.API emmett.App emmett55.App muffin.Application xpresso.App
        apistar.ASyncApp index.Index a2wsgi.WSGIMiddleware asgiref.WsgiToAsgi socketio.ASGIApp
        engineio.ASGIApp sanic.Sanic prometheus_client.make_asgi_app gradio.mount_gradio_app
        hypercorn.DispatcherMiddleware hypercorn.AsyncioWSGIMiddleware hypercorn.TrioWSGIMiddleware
        datasette.Datasette piccolo_admin.create_admin mcp.streamable_http_app zero.App
        microdot.Microdot kui.Kui baize.App
    """,
    "own": """
        aiohttp.Application tornado.Application dash.Dash dash.JupyterDash jupyter_dash.JupyterDash
        gradio.Blocks gradio.Interface gradio.ChatInterface gradio.TabbedInterface
        flask_socketio.SocketIO robyn.Robyn japronto.Application vibora.Vibora nameko.ServiceContainer
        http.HTTPServer http.ThreadingHTTPServer socketserver.TCPServer flet.app remi.start growler.App
        web.application bokeh.Server jupyterlab.LabApp picows.server
    """,
    "nothing": """
        celery.Celery typer.Typer click.group click.command fire.Fire slack_bolt.App slack_bolt.AsyncApp
        huey.RedisHuey huey.SqliteHuey rq.Queue rq.Worker dramatiq.broker pyrogram.Client telegram.Bot
        telegram.Updater telegram.ApplicationBuilder telegram.Application telebot.TeleBot discord.Client
        discord.Bot aiogram.Bot aiogram.Dispatcher mangum.Mangum chalice.Chalice tkinter.Tk
        customtkinter.CTk PyQt5.QApplication PyQt6.QApplication PySide2.QApplication
        PySide6.QApplication wx.App kivy.App cement.App cleo.Application textual.App arcade.Window
        pygame.init faust.App kopf.run locust.HttpUser flask_sqlalchemy.SQLAlchemy flask_migrate.Migrate
        flask_login.LoginManager flask_cors.CORS flask_restful.Api flask_restx.Api flask_smorest.Api
        flask_admin.Admin flask_mail.Mail flask.Blueprint fastapi.APIRouter starlette.Route
        flask_limiter.Limiter flask_caching.Cache flask_jwt_extended.JWTManager
        firebase_admin.initialize_app nicegui.ui azure.FunctionApp modal.App modal.Stub marimo.App
        apscheduler.BackgroundScheduler apscheduler.BlockingScheduler ninja.NinjaAPI streamlit.App
        taskiq.InMemoryBroker faststream.FastStream mcp.FastMCP fastmcp.FastMCP
    """,
    "keeps": """
        werkzeug.ProxyFix whitenoise.WhiteNoise servestatic.ServeStatic dj_static.Cling static.Cling
        sentry_sdk.SentryWsgiMiddleware sentry_sdk.SentryAsgiMiddleware starlette.CORSMiddleware
        raven.Sentry wsgiref.validator paste.Cascade newrelic.wsgi_application newrelic.asgi_application
        uvicorn.ProxyHeadersMiddleware asgi_correlation_id.CorrelationIdMiddleware
        beaker.SessionMiddleware ddtrace.DDWSGIMiddleware ddtrace.TraceMiddleware elasticapm.ElasticAPM
        cachecontrol.CacheControl
    """,
}

#: By top-level package and last part: where in its package a class stands changes between versions.
SHORT: dict[tuple[str, str], Makes] = {
    (name.partition(".")[0], name.rpartition(".")[2]): makes
    for makes, text in _BY_INTERFACE.items()
    for name in text.split()
}

#: Methods, of whatever object, that return an application.
METHODS: dict[str, Makes] = {
    "make_wsgi_app": "wsgi",
    "wsgifunc": "wsgi",
    "get_wsgi_app": "wsgi",
    "as_asgi": "asgi",
    "http_app": "asgi",
    "sse_app": "asgi",
    "streamable_http_app": "asgi",
    "get_asgi_app": "asgi",
}


def names(text: str) -> frozenset[str]:
    """A set of names, written as words of a text."""
    return frozenset(text.split())


#: Packages that applications for the web are written with, by what they speak.
WSGI_PACKAGES = names(
    "flask apiflask flask_openapi3 eve falcon bottle pyramid django webapp2 cherrypy pecan tg morepath"
    " werkzeug webob wsgiref molten dash hug masonite paste"
)
ASGI_PACKAGES = names(
    "fastapi starlette quart quart_trio litestar starlite blacksheep connexion fasthtml esmerald ravyn lilya"
    " responder emmett channels muffin socketio uvicorn hypercorn sanic"
)
OWN_PACKAGES = names(
    "aiohttp tornado gradio streamlit nicegui robyn web panel chainlit gevent waitress gunicorn bjoern"
    " granian flet bokeh twisted cheroot"
)
WEB_PACKAGES = WSGI_PACKAGES | ASGI_PACKAGES | OWN_PACKAGES

#: Tools that run a script by a command of their own: what to write where nothing else starts it.
COMMANDS = {
    "streamlit": "streamlit run {path} --server.port $PORT --server.address 0.0.0.0 --server.headless true",
    "chainlit": "chainlit run {path} --headless --host 0.0.0.0 --port $PORT",
    "panel": "panel serve {path} --port $PORT --address 0.0.0.0 --allow-websocket-origin '*'",
    "marimo": "marimo run {path} --headless --host 0.0.0.0 --port $PORT",
    "voila": "voila {path} --no-browser --port $PORT --Voila.ip=0.0.0.0",
}


def makes(name: str) -> Makes | None:
    """What calling the class or function of that full name returns; None where it is not known."""
    if name in EXACT:
        return EXACT[name]
    found = SHORT.get((name.partition(".")[0], name.rpartition(".")[2]))
    if found is None and name.endswith("Middleware"):
        return "keeps"
    return found
