"""One file answers everything: a page for people, the same as text for programs."""

from __future__ import annotations

import json
import os
import platform
import sys

import flask
from flask import Flask, render_template, request

app = Flask(__name__)


def answer(title: str, lines: dict[str, str], status: int = 200):
    """Return HTML where a browser asks, plain text otherwise."""
    if request.accept_mimetypes.best_match(["text/plain", "text/html"]) == "text/html":
        response = flask.make_response(render_template("page.html", title=title, lines=lines), status)
    else:
        width = max(map(len, lines))
        text = "".join(f"{name:<{width}}  {value}\n" for name, value in lines.items())
        response = flask.make_response(f"{title}\n{'=' * len(title)}\n{text}", status)
        response.mimetype = "text/plain"
    response.vary.add("Accept")
    return response


@app.get("/")
def welcome():
    return answer(
        "A droplet",
        {
            "You are reading": "app.py, from a tarball that brought its own startup script.",
            "Look at": "/facts, which this very file answers too.",
        },
    )


@app.get("/facts")
def facts():
    return answer(
        "What this process sees",
        {
            "Server": request.environ.get("SERVER_SOFTWARE", "one that does not say"),
            "Python": platform.python_version(),
            "Flask": os.path.dirname(flask.__file__),
            "Environment": sys.prefix,
            "Port": os.environ.get("PORT", "unknown"),
            "Directory": os.getcwd(),
            "Memory of the instance": os.environ.get("MEMORY_LIMIT", "unknown"),
            "Workers": os.environ.get("WEB_CONCURRENCY", "unknown"),
            "Services": ", ".join(services()) or "none bound",
        },
    )


@app.errorhandler(404)
def nothing(_):
    return answer("Nothing is here", {"There is": "/ and /facts"}, 404)


def services() -> list[str]:
    """Names of the bound services; their passwords stay where they are."""
    groups = json.loads(os.environ.get("VCAP_SERVICES") or "{}")
    return [service["name"] for group in groups.values() for service in group]


if __name__ == "__main__":  # at your desk: python app.py
    app.run(debug=True)
