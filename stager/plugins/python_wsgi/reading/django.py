"""Django projects: their settings, their entry points, and whether collectstatic has something to do."""

from __future__ import annotations

import ast
import re

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.modules import Modules, imports_of, is_dotted, joined
from stager.plugins.python_wsgi.reading.places import is_installed, printable
from stager.plugins.python_wsgi.reading.settings_module import Settings, read_settings
from stager.plugins.python_wsgi.reading.settings_values import Place
from stager.servers.python_application import Mount

#: manage.py is looked for down to this depth; 1 is the root.
DEPTH = 3
_VARIABLE = "DJANGO_SETTINGS_MODULE"
_STATICFILES = "django.contrib.staticfiles"
_ASGI_APPS = frozenset({"channels", "daphne"})
#: Storages that send files elsewhere.
_REMOTE = re.compile(
    r"^(storages\.|cloudinary|django_s3|minio_storage|gcloud|s3|.*\b(S3|GoogleCloud|Azure)\w*)"
)
#: Folders whose manage.py is nobody's project: installed packages, examples, templates.
SKIPPED = frozenset({"site-packages", "node_modules", "venv", "env", "virtualenv", "tests", "test", "docs",
                     "doc", "examples", "example", "__pycache__", "testing"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class DjangoProject:
    """A project, as its manage.py and its settings describe it.

    Parameters
    ----------
    folder:
        Of manage.py, relative to the application; empty for the root.
    manage:
        The path of manage.py.
    settings:
        The module that serves: what the WSGI (or ASGI) entry point names, else what manage.py does. Empty
        where neither can be told by reading.
    wsgi, asgi:
        The entry points that are there.
    static_url:
        STATIC_URL as a URL path: ``/static``, or ``static`` below where the project is mounted; empty where
        it is on another host or cannot be told.
    static_root:
        STATIC_ROOT relative to the application; empty where it is not set, outside, or cannot be told.
    collects:
        Whether collectstatic has something to do.
    why:
        Why it has nothing to do, for people; or where STATIC_ROOT is set.
    serves_static_itself:
        Whether the application sends its static files: WhiteNoise or ServeStatic.
    prefers_asgi:
        Whether Channels or Daphne is installed in it.
    """

    folder: str
    manage: str
    settings: str
    wsgi: Mount | None
    asgi: Mount | None
    static_url: str
    static_root: str
    collects: bool
    why: str
    serves_static_itself: bool
    prefers_asgi: bool = False


def find_projects(source: SourceTree, modules: Modules | None = None) -> tuple[DjangoProject, ...]:
    """The projects of a tree, those nearest to its root first.

    Raises
    ------
    PlanError
        A manage.py, a settings module or an entry point is no Python.
    """
    reading = modules or Modules(source)
    paths = sorted(source.files("manage.py", depth=DEPTH), key=lambda path: (path.count("/"), path))
    return tuple(
        _project(reading, path)
        for path in paths
        if not _is_skipped(source, path) and _is_django(reading, path)
    )


def _is_skipped(source: SourceTree, path: str) -> bool:
    return is_installed(source, path) or any(part in SKIPPED for part in path.split("/")[:-1])


def _is_django(modules: Modules, path: str) -> bool:
    text = modules.source.read_text(path, limit=1 << 20)
    return _VARIABLE in text or "execute_from_command_line" in text


def _project(modules: Modules, manage: str) -> DjangoProject:
    folder = manage.rpartition("/")[0]
    folders = tuple(dict.fromkeys([folder, joined(folder, "src"), joined(folder, "apps"), "", "src"]))
    name = settings_named(modules, manage)
    settings = _settings(modules, name, folders)
    wsgi = _entry(modules, folder, folders, name, settings, "wsgi")
    asgi = _entry(modules, folder, folders, name, settings, "asgi")
    served = _settings_of_entry(modules, wsgi or asgi)
    if served and served != name:
        other = _settings(modules, served, folders)
        if other.files:
            name, settings = served, other
    prefers_asgi = bool(_ASGI_APPS & {one.split(".")[0] for one in settings.texts("INSTALLED_APPS")})
    collects, why, root = _static(settings)
    return DjangoProject(
        folder, manage, name, wsgi, asgi, _static_url(settings), root, collects, why,
        _serves_itself(modules, settings, wsgi), prefers_asgi,
    )  # fmt: skip


def settings_named(modules: Modules, path: str) -> str:
    """The settings module that a file puts into the environment; empty where it cannot be told."""
    found = modules.needed(path)
    for node in ast.walk(found.tree) if found else ():
        text = None
        if isinstance(node, ast.Call) and any(_is_text(one, _VARIABLE) for one in node.args):
            rest = [
                *(one for one in node.args if not _is_text(one, _VARIABLE)),
                *(k.value for k in node.keywords),
            ]
            text = next((_text(one) for one in rest if _text(one)), None)
        elif isinstance(node, ast.Assign) and _is_item(node.targets[0], _VARIABLE):
            text = _text(node.value)
        if text and is_dotted(text):
            return text
    return ""


def _is_item(node: ast.expr, key: str) -> bool:
    return isinstance(node, ast.Subscript) and _is_text(node.slice, key)


def _is_text(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _text(node: ast.expr) -> str | None:
    """The text that an expression is, or falls back to."""
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr):
            return None
        if not isinstance(one, ast.Constant) or not isinstance(one.value, str) or one.value == _VARIABLE:
            continue
        if isinstance(node, ast.Constant) or "settings" in one.value:
            return one.value
    return None


def _settings(modules: Modules, name: str, folders: tuple[str, ...]) -> Settings:
    path = modules.find(name, folders) if name else None
    return read_settings(modules, path, folders) if path else Settings()


def _settings_of_entry(modules: Modules, mount: Mount | None) -> str:
    path = modules.find(mount.module, (mount.folder,)) if mount else None
    return settings_named(modules, path) if path else ""


def _entry(
    modules: Modules, folder: str, folders: tuple[str, ...], name: str, settings: Settings, kind: str
) -> Mount | None:
    """WSGI_APPLICATION where that module is there, else <project>/wsgi.py, else the only wsgi.py there is."""
    value = settings.values.get(f"{kind.upper()}_APPLICATION")
    if isinstance(value, str) and "." in value:
        module, _, attribute = value.rpartition(".")
        mount = _mount(modules, module, attribute, folder, folders)
        if mount is not None:
            return mount
    packages = [name.rpartition(".")[0]]
    while packages[-1]:
        packages.append(packages[-1].rpartition(".")[0])
    urls = settings.values.get("ROOT_URLCONF")
    if isinstance(urls, str):
        packages.insert(0, urls.rpartition(".")[0])
    packages += [
        child for child in modules.source.children(folder) if is_dotted(child) and child not in SKIPPED
    ]
    for package in dict.fromkeys(packages):
        module = f"{package}.{kind}" if package else kind
        path = modules.find(module, folders)
        if path and f"get_{kind}_application" in modules.source.read_text(path, limit=1 << 20):
            return _mount(modules, module, "application", folder, folders)
    return None


def _mount(
    modules: Modules, module: str, attribute: str, folder: str, folders: tuple[str, ...]
) -> Mount | None:
    path = modules.find(module, folders)
    if path is None:
        return None
    place = (
        folder
        if modules.find(module, (folder,)) == path
        else next(one for one in folders if modules.find(module, (one,)) == path)
    )
    return Mount(module=module, callable=attribute, folder=place, is_django=True)


def _static_url(settings: Settings) -> str:
    value = settings.values.get("STATIC_URL")
    if not isinstance(value, str) or "//" in value or not value.strip("/"):
        return ""
    path = value.strip("/")
    return f"/{path}" if value.startswith("/") else path


def _static(settings: Settings) -> tuple[bool, str, str]:
    """Whether collectstatic has something to do, why (not), and where it puts it."""
    root = settings.values.get("STATIC_ROOT")
    remote = _remote_storage(settings)
    reason = ""
    if not settings.files:
        reason = "the settings module cannot be told by reading"
    elif _STATICFILES not in settings.texts("INSTALLED_APPS") and not _mentions_staticfiles(settings):
        reason = f"{_STATICFILES} is not in INSTALLED_APPS"
    elif root is None or root == "":
        reason = "STATIC_ROOT is not set"
    elif remote:
        reason = f"static files go to {remote}, not into a folder"
    if reason:
        return False, reason, ""
    line = settings.lines.get("STATIC_ROOT", "")
    reason, path = _inside(root)
    return not reason, f"{reason or 'STATIC_ROOT'}: {line}", path


def _inside(root: object) -> tuple[str, str]:
    """Why a STATIC_ROOT is no folder of the application, and which one it is."""
    if isinstance(root, Place):
        return ("", str(root)) if root.parts else ("STATIC_ROOT is the application's root", "")
    if not isinstance(root, str):
        return "STATIC_ROOT cannot be told by reading", ""
    parts = [part for part in root.split("/") if part not in {"", "."}]
    if root.startswith(("/", "~")) or ".." in parts:
        return f"STATIC_ROOT is {printable(root)}, outside the application", ""
    # A relative one is relative to the working directory: the application's root.
    return ("", "/".join(parts)) if parts else ("STATIC_ROOT is the application's root", "")


def _mentions_staticfiles(settings: Settings) -> bool:
    """Whether a list that cannot be told to its end may have it."""
    if "INSTALLED_APPS" in settings.values and settings.is_whole("INSTALLED_APPS"):
        return False
    texts = (
        node.value
        for module in settings.files
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
    )
    return any(text == _STATICFILES for text in texts)


def _remote_storage(settings: Settings) -> str:
    found = settings.values.get("STATICFILES_STORAGE")
    storages = settings.values.get("STORAGES")
    if isinstance(storages, dict) and isinstance(storages.get("staticfiles"), dict):
        found = storages["staticfiles"].get("BACKEND", found)
    return found if isinstance(found, str) and _REMOTE.match(found) else ""


def _serves_itself(modules: Modules, settings: Settings, wsgi: Mount | None) -> bool:
    middleware = (*settings.texts("MIDDLEWARE"), *settings.texts("MIDDLEWARE_CLASSES"))
    if any(one.startswith(("whitenoise.", "servestatic.")) for one in middleware):
        return True
    path = modules.find(wsgi.module, (wsgi.folder,)) if wsgi else None
    found = modules.needed(path) if path else None
    names = imports_of(found.tree)[0] if found else []
    return bool({"whitenoise", "servestatic", "dj_static"} & {name.split(".")[0] for name in names})
