"""How sure we are that a tree is an application in PHP."""

from __future__ import annotations

from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree
from stager.plugins.php.document_root import KNOWN

#: Files by which other runtimes are known: beside one of them, a stray .php file says little.
OTHERS = (
    "package.json", "requirements.txt", "pyproject.toml", "Pipfile", "manage.py", "setup.py", "Gemfile",
    "config.ru", "go.mod", "pom.xml", "build.gradle", "Cargo.toml", "mix.exs",
)  # fmt: skip
#: A .php file deeper than this belongs to documentation or a test, not to an application.
DEPTH = 4


def detect_php(source: SourceTree) -> Detection:
    """Return how sure it is, on which files, and what is nearly an application in PHP."""
    evidence = ["composer.json"] if source.is_file("composer.json") else []
    folders = ("", *KNOWN)
    entries = (f"{folder}/index.php".lstrip("/") for folder in folders)
    evidence += [path for path in entries if source.is_file(path)]
    if evidence:
        return Detection(Strength.STRONG, tuple(evidence), _near_misses(source))
    pages = _some(source, depth=1)
    other = next((name for name in OTHERS if source.is_file(name)), "")
    if pages and not other:
        return Detection(Strength.LIKELY, pages, _near_misses(source))
    pages = pages or _some(source, depth=DEPTH)
    if pages:
        beside = (f"{pages[0]}, beside {other}",) if other else (f"{pages[0]}, below the root",)
        return Detection(Strength.WEAK, beside, _near_misses(source))
    return Detection(Strength.NONE, (), _near_misses(source))


def _some(source: SourceTree, depth: int) -> tuple[str, ...]:
    found = []
    for path in source.files("*.php", depth=depth):
        found.append(path)
        if len(found) == 3:  # noqa: PLR2004  enough for a reader
            break
    return tuple(found)


def _near_misses(source: SourceTree) -> tuple[str, ...]:
    """What looks almost right: a name in other letters, a lock alone, an application one folder down."""
    names = source.children()
    texts = [
        f"{name}: did you mean {name.lower()}?"
        for name in names
        if name.lower() in {"composer.json", "index.php"} and name not in {"composer.json", "index.php"}
    ]
    if source.is_file("composer.lock") and not source.is_file("composer.json"):
        texts.append("composer.lock: composer.json is missing")
    folders = [name for name in names if source.is_directory(name) and not name.startswith(".")]
    if not source.is_file("composer.json") and not source.is_file("index.php"):
        for folder in folders:
            for name in ("composer.json", "index.php"):
                if folder not in KNOWN and source.is_file(f"{folder}/{name}"):
                    texts.append(f"{folder}/{name}: is {folder}/ the application's root?")
                    break
    old = [name for name in names if name.lower().endswith((".php3", ".php4", ".php5", ".phtml"))]
    texts += [f"{name}: pages are found by .php" for name in old[:3]]
    return tuple(texts)
