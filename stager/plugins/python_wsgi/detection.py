"""How sure we are that a tree is an application in Python.

Every build asks, whatever it builds: what reads syntax trees is imported where there are files to be read.
"""

from __future__ import annotations

from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.places import is_installed, printable

#: Files by which the runtime is known whatever else is there.
MANIFESTS = ("requirements.txt", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock",
             "pylock.toml", "setup.py")  # fmt: skip
#: Files by which other runtimes are known: beside one of them, a stray .py file says little.
OTHERS = ("package.json", "composer.json", "index.php", "Gemfile", "config.ru", "go.mod", "pom.xml",
          "build.gradle", "Cargo.toml", "mix.exs", "index.html")  # fmt: skip
ENTRIES = ("wsgi.py", "asgi.py", "app.py", "main.py", "application.py", "server.py")
DEPTH = 4
#: Names whose misspellings are too far from them, or too near to other names, to be found by likeness.
_MISSPELT = {
    "requeriments.txt": "requirements.txt", "requirements": "requirements.txt",
    "requirements.txt.txt": "requirements.txt",
    "requirements-txt": "requirements.txt", "requirements.md": "requirements.txt",
    "pyproject.toml.txt": "pyproject.toml", "pyproject": "pyproject.toml",
    "pip.file": "Pipfile", "pipfile.txt": "Pipfile", "pipfile.toml": "Pipfile",
    "set_up.py": "setup.py", "mange.py": "manage.py", "wsgy.py": "wsgi.py", "wgsi.py": "wsgi.py",
    "wisgi.py": "wsgi.py", "main.pyw": "main.py", "app.py.txt": "app.py", "main.py.txt": "main.py",
}  # fmt: skip
#: Names that are long enough for it.
_LONG = ("requirements.txt", "pyproject.toml")
_LIKENESS = 0.9
_NAMES = (
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "manage.py",
    "wsgi.py",
    "app.py",
    "main.py",
)


def detect_python(source: SourceTree) -> Detection:
    """Return how sure it is, on which files, and what is nearly an application in Python."""
    evidence = _strong(source)
    near = _near_misses(source, is_found=bool(evidence))
    if evidence:
        return Detection(Strength.STRONG, tuple(evidence), near)
    other = next((name for name in OTHERS if source.is_file(name)), "")
    programs = [name for name in source.children() if name.endswith(".py") and source.is_file(name)]
    if programs and not other and _runs_something(source, programs[:50]):
        return Detection(Strength.LIKELY, tuple(map(printable, programs[:3])), near)
    if programs:
        text = f", beside {other}" if other else ", which runs nothing"
        return Detection(Strength.WEAK, (f"{printable(programs[0])}{text}",), near)
    below = _below(source)
    if below:
        return Detection(Strength.WEAK, (f"{printable(below)}, below the root",), near)
    return Detection(Strength.NONE, (), near)


def _strong(source: SourceTree) -> list[str]:
    evidence = [name for name in MANIFESTS if source.is_file(name)]
    if source.is_file("pyproject.toml") and _is_project(source):
        evidence.insert(0, "pyproject.toml")
    for path in sorted(source.files("manage.py", depth=3), key=lambda path: (path.count("/"), path)):
        if not is_installed(source, path) and "DJANGO_SETTINGS_MODULE" in source.read_text(
            path, limit=1 << 16
        ):
            evidence.append(printable(path))
            break
    entries = [name for name in ENTRIES if source.is_file(name)]
    if entries:
        from stager.plugins.python_wsgi.reading.modules import Modules
        from stager.plugins.python_wsgi.reading.recognition import web_package

        modules = Modules(source)
        named = [(name, web_package(modules, name)) for name in entries]
        evidence += [f"{name} (imports {package})" for name, package in named if package]
    return evidence


def _runs_something(source: SourceTree, names: list[str]) -> bool:
    from stager.plugins.python_wsgi.reading.modules import Modules
    from stager.plugins.python_wsgi.reading.recognition import is_runnable

    modules = Modules(source)
    return any(is_runnable(modules, name) for name in names)


def _is_project(source: SourceTree) -> bool:
    """Whether pyproject.toml is more than the settings of a formatter; one that is not TOML counts."""
    import tomllib

    try:
        document = tomllib.loads(source.read_text("pyproject.toml"))
    except (ValueError, RecursionError):
        return True
    tool = document.get("tool")
    tools = tool if isinstance(tool, dict) else {}
    return bool({"project", "build-system", "dependency-groups"} & document.keys()) or bool(
        {"poetry", "pdm", "flit", "uv", "hatch"} & tools.keys()
    )


def _below(source: SourceTree) -> str:
    return next((path for path in source.files("*.py", depth=DEPTH) if not is_installed(source, path)), "")


def _near_misses(source: SourceTree, *, is_found: bool) -> tuple[str, ...]:
    """What looks almost right: a misspelt name, an application one folder down, an environment."""
    names = source.children()
    texts = []
    for name in names:
        right = _right(name)
        if right and not source.has(right) and source.is_file(name):
            texts.append(f"{printable(name)}: did you mean {right}?")
    texts += _brought(source, names)
    if not is_found:
        texts += _one_down(source, names)
    return tuple(texts)


def _right(name: str) -> str:
    lower = name.lower()
    exact = next((one for one in _NAMES if one.lower() == lower), "")
    if exact:
        return exact if exact != name else ""
    import difflib

    near = difflib.get_close_matches(lower, _LONG, 1, _LIKENESS)
    return near[0] if near else _MISSPELT.get(lower, "")


def _brought(source: SourceTree, names: tuple[str, ...]) -> list[str]:
    texts = []
    for name in names:
        if name.lower() in {"environment.yml", "environment.yaml", "conda.yml", "conda.yaml"}:
            texts.append(f"{name}: conda's; requirements are read from requirements.txt or pyproject.toml")
        elif name.lower().endswith(".ipynb") and not any(one.endswith(".py") for one in names):
            texts.append(
                f"{printable(name)}: a notebook; `jupyter nbconvert --to script` makes a program of it"
            )
        elif source.is_file(f"{name}/pyvenv.cfg"):
            texts.append(
                f"{printable(name)}/: a virtual environment, which is of no use elsewhere; ignore it"
            )
    return texts


def _one_down(source: SourceTree, names: tuple[str, ...]) -> list[str]:
    texts = []
    for folder in names:
        if folder.startswith(".") or not source.is_directory(folder) or is_installed(source, f"{folder}/x"):
            continue
        for name in ("requirements.txt", "pyproject.toml", "Pipfile", "manage.py", *ENTRIES):
            if source.is_file(f"{folder}/{name}"):
                texts.append(f"{printable(folder)}/{name}: is {printable(folder)}/ the application's root?")
                break
    return texts
