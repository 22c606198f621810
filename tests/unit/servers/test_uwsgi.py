"""What uwsgi promises alone; what it promises as others do is in test_wsgi_servers.py."""

from __future__ import annotations

from stager.servers.python_application import Mount, PythonApplication
from stager.servers.uwsgi import UWSGI

APP = """
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]
"""


def test_files_of_the_users_are_read_after_ours(droplet_of):
    application = PythonApplication(
        mounts=(Mount(module="web", callable="application"),),
        interface="wsgi",
        minor="3.11",
        user_configuration=("uwsgi.ini",),
    )
    settings = "[uwsgi]\nadd-header = X-Mine: yes\n"
    droplet = droplet_of(UWSGI, application, {"web.py": APP, "uwsgi.ini": settings})
    with droplet.started():
        connection = droplet.connect()
        connection.request("GET", "/")
        assert connection.getresponse().getheader("X-Mine") == "yes"
