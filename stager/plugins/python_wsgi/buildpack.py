"""The buildpack for applications in Python; :mod:`stager.plugins.python_wsgi.planning` makes its plan."""

from __future__ import annotations

from dataclasses import replace

from stager.buildpack import Buildpack, PlanContext
from stager.model.detection import Detection
from stager.model.plan import BuildPlan
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.options import PythonOptions
from stager.plugins.python_wsgi.packages.interpreters import PYTHONS, UV
from stager.servers.apache import APACHE, MODULES
from stager.servers.mod_wsgi import MOD_WSGI


class PythonBuildpack(Buildpack[PythonOptions]):
    """Serves applications in Python: WSGI, ASGI, Django, or with a server of their own."""

    runtime = "python_wsgi"
    aliases = ("python",)
    summary = "Python with gunicorn, uvicorn, mod_wsgi, waitress, uwsgi or granian; uv"
    options = PythonOptions
    #: Apache is for mod_wsgi alone.
    host_tools = (PYTHONS, UV, replace(APACHE, optional=True), replace(MODULES, optional=True), MOD_WSGI)

    # Every buildpack is asked in every build, and one plans: the rest is imported when it is wanted.

    def detect(self, source: SourceTree) -> Detection:
        from stager.plugins.python_wsgi.detection import detect_python

        return detect_python(source)

    def plan(self, context: PlanContext[PythonOptions]) -> BuildPlan:
        from stager.plugins.python_wsgi.planning import plan_python

        return plan_python(context)
