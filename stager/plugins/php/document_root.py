"""Which folder is served."""

from __future__ import annotations

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.php.install import installed_directories
from stager.plugins.php.layouts import Layout, find_layout
from stager.plugins.php.manifest import Composer, mapping
from stager.plugins.php.procfile import HerokuWeb

#: Folders that hosts and tools have called so; the commonest first.
KNOWN = ("public", "web", "htdocs", "www", "public_html", "webroot", "docroot", "html", "pub")
ENTRIES = ("index.php", "app.php", "index.phtml")
OPTION = "php.document_root"


@dataclass(frozen=True, slots=True)
class DocumentRoot:
    """The folder that is served, relative to the application (empty: all of it), and why that one.

    ``front`` is the file that answers for what is no file; empty where such requests are a plain 404.
    """

    path: str
    why: str
    layout: Layout | None = None
    front: str = ""
    entry: str = ""

    def within(self, name: str) -> str:
        """The path, in the application, of a name in the document root."""
        return f"{self.path}/{name}" if self.path else name


def find_document_root(
    source: SourceTree,
    composer: Composer | None,
    option: str | None = None,
    procfile: HerokuWeb | None = None,
) -> DocumentRoot:
    """Return what was asked for, else what the tree looks like, else its root.

    Parameters
    ----------
    option:
        The setting ``php.document_root``.
    procfile:
        The Procfile's ``heroku-php-apache2`` line.

    Raises
    ------
    ConfigurationError
        What was asked for lies outside the tree, or is no folder of it.
    """
    layout = find_layout(source, composer)
    if option is not None:
        path, why = _checked(source, composer, option, OPTION), f"{OPTION} says so"
    elif procfile and procfile.document_root:
        path, why = (
            _checked(source, composer, procfile.document_root, "Procfile, web"),
            "the Procfile says so",
        )
    else:
        path, why = _search(source, composer, layout)
    if layout and layout.document_root != path:
        layout = None
    return DocumentRoot(
        path, why, layout, _front(source, composer, path, layout), _entry(source, path, layout)
    )


def _checked(source: SourceTree, composer: Composer | None, value: str, where: str) -> str:
    parts = [part for part in value.split("/") if part not in {"", "."}]
    path = "/".join(parts)
    if value.startswith("/") or ".." in parts:
        raise ConfigurationError(
            f"{where}: {value!r} is not inside the application.",
            details="The document root is a folder relative to the application's root; .. cannot be in it.",
            resolution="Name such a folder, for example public.",
            slug="document-root-outside",
        )
    if source.is_directory(path) or not path or _is_made(composer, path):
        return path
    seen = [name for name in source.children() if source.is_directory(name) and not name.startswith(".")]
    raise ConfigurationError(
        f"{where}: the application has no folder {value!r}.",
        details=f"Its folders: {', '.join(seen[:20]) or 'none'}.",
        resolution="Correct the name; it is relative to the application's root. "
        "Is the folder named in .stagerignore?",
        slug="document-root-missing",
    )


def _is_made(composer: Composer | None, path: str) -> bool:
    """Whether `composer install` will make it, as it does for Drupal's web/."""
    if composer is None or composer.lock is None:
        return False
    return any(path == made or made.startswith(f"{path}/") for made in installed_directories(composer))


def _search(source: SourceTree, composer: Composer | None, layout: Layout | None) -> tuple[str, str]:
    if layout:
        return layout.document_root, f"it looks like {layout.name}"
    with_index = next((name for name in KNOWN if _first_entry(source, name)), "")
    has_own = bool(_first_entry(source, ""))
    if with_index and (composer or not has_own):
        return with_index, f"{with_index}/{_first_entry(source, with_index)} is there"
    if has_own:
        return "", f"{_first_entry(source, '')} is there"
    scaffold = _scaffolded(composer)
    if scaffold:
        return scaffold, "composer.json, extra.drupal-scaffold says so"
    if not any(source.files("*.php", depth=1)):
        for name in KNOWN:
            if any(child.endswith((".php", ".html")) for child in source.children(name)):
                return name, f"{name}/ has pages, and the root has none"
    return "", "no folder looks like another one"


def _first_entry(source: SourceTree, folder: str) -> str:
    prefix = f"{folder}/" if folder else ""
    return next((name for name in ENTRIES if source.is_file(f"{prefix}{name}")), "")


def _scaffolded(composer: Composer | None) -> str:
    if composer is None or composer.lock is None:
        return ""
    extra = mapping(composer.section("extra").get("drupal-scaffold"))
    path = str(mapping(extra.get("locations")).get("web-root", "")).removeprefix("./").strip("/")
    return path if path and ".." not in path.split("/") else ""


def _front(source: SourceTree, composer: Composer | None, path: str, layout: Layout | None) -> str:
    """The front controller, for applications that have one and no .htaccess to say so."""
    prefix = f"{path}/" if path else ""
    name = layout.front if layout else "index.php"
    if source.has(f"{prefix}.htaccess") or not source.is_file(f"{prefix}{name}"):
        return ""
    return name if layout or composer else ""


def _entry(source: SourceTree, path: str, layout: Layout | None) -> str:
    """The file whose syntax is worth a check: the front controller, or the first page."""
    prefix = f"{path}/" if path else ""
    names = (layout.front,) if layout else ()
    pages = [name for name in source.children(path) if name.endswith(".php")]
    for name in (*names, *ENTRIES, *pages):
        if source.is_file(f"{prefix}{name}"):
            return f"{prefix}{name}"
    return ""
