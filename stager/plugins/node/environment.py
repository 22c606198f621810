"""What every process of an application in Node gets."""

from __future__ import annotations

from collections.abc import Mapping

from stager.model.plan import PrivateFile, RenderedFile

#: Of the private directory: a folder with the chosen Node and nothing else, to be first on the PATH. The
#: folder where it was found may hold whatever else.
PROGRAMS = "node/bin"
#: The program that runs an application's file.
NODE = "${STAGER_NODE}"
#: Carries how large the heap of one process may grow, in MiB.
HEAP = "STAGER_NODE_HEAP"


#: Makes servers finish their requests when they are stopped, and keep connections as long as routers do.
SERVING = "node/serving.cjs"


def files() -> tuple[RenderedFile, ...]:
    """Return what the droplet has for its processes."""
    return (RenderedFile(SERVING, template="node/serving.cjs.j2"),)


def private_files() -> tuple[PrivateFile, ...]:
    """Return the links that make ``node`` the one that startup chose: scripts begin with `env node`.

    And one to what is loaded first, by a path without spaces: programs such as Next take NODE_OPTIONS apart,
    and put it together again.
    """
    nodes = (PrivateFile(f"{PROGRAMS}/{name}", link=NODE) for name in ("node", "nodejs"))
    return (*nodes, PrivateFile(SERVING, link=f"${{STAGER_DROPLET}}/{SERVING}"))


def process_environment() -> Mapping[str, str]:
    """Return what every process gets, those of a Procfile too."""
    return {
        "PATH": f"${{STAGER_SOCKETS}}/{PROGRAMS}:${{STAGER_ROOT}}/app/node_modules/.bin:${{PATH}}",
        "NODE_ENV": "production",
        # Next and Nuxt write what they are used for to a server of theirs, and say so in the log.
        "NEXT_TELEMETRY_DISABLED": "1",
        "NUXT_TELEMETRY_DISABLED": "1",
        # It asks the registry at every start whether there is a later one.
        "NO_UPDATE_NOTIFIER": "1",
    }


def heap_environment(options: str = "") -> Mapping[str, str]:
    """Return what a process of ours gets, which has :func:`~stager.plugins.node.starting.memory.heap_model`.

    Not every process has one, and the variable is only there with it. ``options`` are those that the
    application sets itself. What the user says comes last, and with V8's options the last one counts.
    """
    said = f" {options}" if options else ""
    ours = f"--require ${{STAGER_SOCKETS}}/{SERVING} --max-old-space-size=${{{HEAP}}}"
    return {"NODE_OPTIONS": f"{ours}{said} ${{NODE_OPTIONS}}"}
