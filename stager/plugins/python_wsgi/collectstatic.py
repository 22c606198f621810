"""Django's collectstatic, as a step."""

from __future__ import annotations

from stager.model.plan import KnownFailure, RunCommand
from stager.plugins.python_wsgi.reading.django import DjangoProject

_ELSEWHERE = (
    "If it needs a variable, give it one for the build: `build_env:` in stager.yml, or --build-env "
    "NAME=VALUE. Or leave it out: python_wsgi.collectstatic: false."
)
FAILURES = (
    KnownFailure(
        r"(?m)^(?:django\.core\.exceptions\.)?ImproperlyConfigured: (?P<what>.+)$",
        "collectstatic: Django's settings are not complete: {what}",
        _ELSEWHERE,
    ),
    KnownFailure(
        r"(?m)^KeyError: ['\"](?P<name>\w+)['\"]$",
        "collectstatic: the settings read {name}, which nobody has set.",
        "Set it for the build: --build-env {name}=… (or `build_env:` in stager.yml). "
        "Or leave collectstatic out: python_wsgi.collectstatic: false.",
    ),
    KnownFailure(
        r"(?m)^ModuleNotFoundError: No module named ['\"](?P<name>[\w.]+)['\"]$",
        "collectstatic: the settings import {name}, which is not installed.",
        "Add what provides it to the requirements.",
    ),
    KnownFailure(
        r"(?m)^(?P<what>\w+(?:\.\w+)*(?:Error|Exception|Warning): .+)\Z",
        "collectstatic failed: {what}",
        _ELSEWHERE,
    ),
)


def collectstatic_step(project: DjangoProject) -> RunCommand:
    """Collect the files of one project into its STATIC_ROOT."""
    folder = f" in {project.folder}" if project.folder else ""
    return RunCommand(
        name=f"collectstatic{folder}",
        tool="../build/python/bin/python",
        arguments=(project.manage, "collectstatic", "--noinput"),
        environment={"DJANGO_SETTINGS_MODULE": project.settings, "PYTHONUNBUFFERED": "1"},
        inputs=("",),
        outputs=(f"app/{project.static_root}",),
        timeout=600.0,
        failures=FAILURES,
    )
