"""Templates: where they lie, and the filters without which no value gets out of one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from stager.errors import PluginBroken, TemplateFailed

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment, nodes
    from jinja2.bccache import Bucket

_OURS = os.path.join(os.path.dirname(__file__), "templates")
#: ``$$`` and ``${NAME}`` in a word of an argv; a dollar before anything else is a dollar.
REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAMED = {"\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r"}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"[A-Za-z0-9_./:+@%=,-]+")
_SHOWN = 200


class Renderer:
    """Renders templates by name: ``<folder>/<file>``.

    Ours lie in the folders of ``stager/templates``. Another package's lie in its own ``templates``; the
    first part of their names is the package's (the last part of it, where it is dotted).

    Parameters
    ----------
    packages:
        Packages, or modules in packages, that bring templates. They have been imported.
    cache:
        A directory in which compiled templates are kept: 25 ms of every build. None for none.

    Raises
    ------
    PluginBroken
        A package is named like another one, or like one of our folders.
    """

    def __init__(self, packages: Iterable[str] = (), cache: str | os.PathLike[str] | None = None) -> None:
        compiled = "" if cache is None else os.path.join(os.path.abspath(cache), "templates")
        self._environment = _environment(tuple(sorted(_folders(packages).items())), compiled)

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Render one template.

        Returns
        -------
        Its text, with surrogate escapes for bytes that are not UTF-8 (``encode(errors="surrogateescape")``).

        Raises
        ------
        TemplateFailed
            There is none of that name, it is malformed, prints a value without a quoting filter, uses
            a value that it was not given, or a filter refuses a value.
        """
        from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

        try:
            return self._environment.get_template(template).render(values)
        except _RefusedError as error:
            raise _failed(template, str(error)) from error
        except TemplateNotFound as error:
            raise _failed(template, f"There is no template {error.name}.") from error
        except TemplateSyntaxError as error:
            raise _failed(template, f"{error.name}, line {error.lineno}: {error.message}") from error
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise _failed(template, f"{type(error).__name__}: {error}") from error


def references(word: str) -> frozenset[str]:
    """The names of the variables that a word of an argv refers to."""
    return frozenset(found[1] for found in REFERENCE.finditer(word) if found[1])


def quote(value: object) -> str:
    """``sh``: one word of a shell command, whatever it holds; line breaks do not become lines."""
    text = str(value)
    if not _UNPRINTABLE.search(text):
        return shlex.quote(text)
    if "\0" in text:
        _refuse(value, "a shell has no NUL")
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _UNPRINTABLE.sub(_escape, escaped) + "'"


def quote_all(words: Iterable[object]) -> str:
    """``argv``: the words of a shell command."""
    return " ".join(quote(word) for word in _list(words))


def quote_at_start(word: object) -> str:
    """``at_start``: one word in which ``${NAME}`` is that variable, ``$$`` a dollar, nothing else special."""
    text = str(word)
    parts: list[str] = []
    literal = ""
    end = 0
    for found in REFERENCE.finditer(text):
        literal += text[end : found.start()]
        end = found.end()
        if found[1]:
            parts += [quote(literal)] if literal else []
            parts.append(f'"${{{found[1]}}}"')
            literal = ""
        else:
            literal += "$"
    literal += text[end:]
    if literal or not parts:
        parts.append(quote(literal))
    return "".join(parts)


def quote_all_at_start(words: Iterable[object]) -> str:
    """``argv_at_start``: the words of an :data:`~stager.model.plan.Argv`."""
    return " ".join(quote_at_start(word) for word in _list(words))


def quote_apache(value: object) -> str:
    r"""``apache``: a double-quoted argument of an Apache directive, the quotes included.

    Apache knows no escape for ``${``: a file with such a value needs ``Define STAGER_DOLLAR "$"`` before
    it. What a variable expands to is not expanded again (ap_resolve_env in server/core.c).
    """
    text = _one_line(value, "an Apache directive")
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("${", "${STAGER_DOLLAR}{") + '"'


def quote_ini(value: object) -> str:
    """``ini``: a value of php.ini or of a pool file, as PHP's scanner gives it back.

    Between single quotes everything is itself, ``${``, backslash and ``;`` too; adjacent strings are joined.
    A boolean becomes 1 or 0.
    """
    if isinstance(value, bool):
        value = int(value)
    text = _one_line(value, "an ini file")
    # The scanner reads a backslash before a quote as part of an escape: those two, and quotes, go between
    # double quotes, where backslash and quote are escaped.
    pieces = re.findall(r"[^'\\]+|['\\]+", text)
    quoted = [
        '"' + piece.replace("\\", "\\\\") + '"' if piece[0] in "'\\" else f"'{piece}'" for piece in pieces
    ]
    return "".join(quoted) or '""'


def quote_comment(value: object) -> str:
    """``comment``: the rest of a line that is a comment."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "?", str(value))


def quote_integer(value: object) -> str:
    """``integer``: a whole number."""
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", text := str(value), re.ASCII):
        _refuse(value, "it is no whole number")
    return text


def quote_word(value: object) -> str:
    """``word``: what stands bare in every language that we write: a module's name, a key, a size."""
    text = str(value)
    if not _WORD.fullmatch(text):
        _refuse(value, "only letters, digits and _ . / : + @ % = , - may stand here")
    return text


def quote_python(value: object) -> str:
    """``python``: a Python literal of text, integers, booleans, None, and tuples, lists, dicts of those."""
    if isinstance(value, dict):
        items = (f"{quote_python(key)}: {quote_python(one)}" for key, one in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(quote_python, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(quote_python, value)) + ("," if len(value) == 1 else "") + ")"
    if type(value) not in {str, int, bool, type(None)}:
        _refuse(value, "Python has no literal for it that is written here")
    return repr(value)  # what is not printable is escaped in it


def quote_systemd(value: object) -> str:
    """``systemd``: one word of a unit's setting, the quotes included; ``%`` begins no specifier."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if "\0" in text:
        _refuse(value, "a unit has no NUL")
    return '"' + _UNPRINTABLE.sub(_escape, text) + '"'


def quote_systemd_argv(words: Iterable[object]) -> str:
    """``systemd_argv``: the words of a unit's ``Exec…=``, where a dollar would begin a variable, too."""
    return " ".join(quote_systemd(word).replace("$", "$$") for word in _list(words))


def quote_compose(value: object) -> str:
    """``compose``: a string of a Compose file, the quotes included; ``$`` does not begin a variable.

    What JSON escapes, YAML reads alike, but for pairs of surrogates: characters stay themselves.
    """
    text = str(value)
    if re.search(r"[\ud800-\udfff]", text):
        _refuse(value, "YAML has only characters")
    escaped = json.dumps(text.replace("$", "$$"), ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", escaped)


#: By the name under which templates know them. One of them is the last filter of every value.
QUOTING_FILTERS: Mapping[str, Callable[[Any], str]] = {
    "sh": quote,
    "argv": quote_all,
    "at_start": quote_at_start,
    "argv_at_start": quote_all_at_start,
    "apache": quote_apache,
    "ini": quote_ini,
    "comment": quote_comment,
    "integer": quote_integer,
    "word": quote_word,
    "python": quote_python,
    "systemd": quote_systemd,
    "systemd_argv": quote_systemd_argv,
    "compose": quote_compose,
}


class _RefusedError(Exception):
    """A filter does not let a value through."""


def _refuse(value: object, why: str) -> NoReturn:
    shown = ascii(value)
    raise _RefusedError(f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}: {why}.")


def _one_line(value: object, where: str) -> str:
    text = str(value)
    if re.search(r"[\x00\n\r]", text):
        _refuse(value, f"{where} can hold neither line breaks nor NUL")
    return text


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _NAMED:
        return _NAMED[char]
    try:
        (byte,) = char.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        _refuse(char, "it is no character")
    return f"\\x{byte:02x}"


def _list(words: Iterable[object]) -> Iterable[object]:
    if isinstance(words, str):
        _refuse(words, "it is one word, not a list of words")
    return words


def _failed(template: str, details: str) -> TemplateFailed:
    return TemplateFailed(
        f"The template {template} cannot be rendered.",
        details=details,
        resolution="If the value is one of yours, change it; otherwise tell the author of the template.",
    )


def _folders(packages: Iterable[str]) -> dict[str, str]:
    """Where templates lie, by the first part of their names."""
    folders = {entry.name: entry.path for entry in os.scandir(_OURS) if entry.is_dir()}
    for package in packages:
        name, folder = _templates_of(package)
        if folder and folders.setdefault(name, folder) != folder:
            raise PluginBroken(
                f"Two packages bring templates under the name {name}.",
                details=f"{folders[name]}, {folder}",
                resolution="Uninstall one of them, and ask its author to rename the package.",
            )
    return folders


@cache
def _environment(folders: tuple[tuple[str, str], ...], compiled: str) -> Environment:
    """One for each set of folders: a template is compiled once in a process."""
    from jinja2 import FileSystemLoader, PrefixLoader, StrictUndefined

    environment = _strict_environment()(
        loader=PrefixLoader({name: FileSystemLoader(folder) for name, folder in folders}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        bytecode_cache=_bytecode_cache(compiled) if compiled else None,
        autoescape=False,
    )
    environment.filters.update(QUOTING_FILTERS)
    return environment


def _templates_of(module: str) -> tuple[str, str]:
    """The nearest package around a module that has a ``templates`` folder: its last name, that folder."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        package = sys.modules.get(".".join(parts[:end]))
        for path in getattr(package, "__path__", ()):
            folder = os.path.join(path, "templates")
            if os.path.isdir(folder) and folder != _OURS:
                return parts[end - 1], folder
    return "", ""


def _bytecode_cache(folder: str) -> BytecodeCache | None:
    """What is kept there is code: nobody else may be able to write it."""
    from jinja2 import FileSystemBytecodeCache

    class Keeping(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            with contextlib.suppress(OSError):  # a full disk only costs the time next time
                super().dump_bytecode(bucket)

    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.lstat(folder)
    except OSError:
        return None
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return Keeping(folder) if is_ours and not status.st_mode & 0o022 else None


@cache
def _strict_environment() -> type[Environment]:
    """An Environment that does not compile a template which prints a value as it is."""
    from jinja2 import Environment, TemplateSyntaxError, nodes

    class StrictEnvironment(Environment):
        def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
            parsed = super()._parse(source, name, filename)
            for output in parsed.find_all(nodes.Output):
                for value in output.nodes:
                    if not _is_quoted(value):
                        raise TemplateSyntaxError(
                            f"a value is printed without a quoting filter ({', '.join(QUOTING_FILTERS)})",
                            value.lineno,
                            name,
                            filename,
                        )
            return parsed

    return StrictEnvironment


def _is_quoted(value: nodes.Expr) -> bool:
    from jinja2 import nodes

    return isinstance(value, nodes.TemplateData) or (
        isinstance(value, nodes.Filter) and value.name in QUOTING_FILTERS
    )
