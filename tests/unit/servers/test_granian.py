"""What granian promises alone; what it promises as others do is in test_wsgi_servers.py."""

from __future__ import annotations

from stager.servers.granian import GRANIAN
from stager.servers.python_application import Mount, PythonApplication

ASGI_APP = """
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                print(message["type"], flush=True)
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return print("lifespan is over", flush=True)
        body = (scope["scheme"] + " " + scope["client"][0]).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""


def test_asgi_has_its_lifespan_and_believes_proxies(droplet_of):
    mount = Mount(module="web", callable="application")
    application = PythonApplication(mounts=(mount,), interface="asgi", minor="3.11", grace=60)
    droplet = droplet_of(GRANIAN, application, {"web.py": ASGI_APP})
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7, 10.1.2.3"}
    with droplet.started() as process:
        assert droplet.ask().text == "http 127.0.0.1"
        assert droplet.ask(headers=said).text == "https 198.51.100.7"
        process.terminate()
        droplet.ends(0)
        # A worker that was still starting when it was stopped has none.
        ended = droplet.log().count("lifespan.shutdown")
        assert ended == droplet.log().count("lifespan is over")
        assert ended > 0
