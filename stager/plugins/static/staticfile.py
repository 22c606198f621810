"""``Staticfile``: the settings of Cloud Foundry's buildpack for static sites."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree

NAME = "Staticfile"
#: Passwords as htpasswd writes them; all of the site asks for one then.
AUTH = "Staticfile.auth"
_ON = frozenset({"true", "yes", "on", "enabled", "visible", "1"})
_HSTS = "http_strict_transport_security"
#: Keys that mean something only to nginx, or that the platform's router does.
_MEANINGLESS = {
    "location_include": "it names configuration of nginx; Apache's goes into .stager/apache/*.conf",
    "host_dot_files": "names that begin with a dot are not served, but for /.well-known/",
    "enable_http2": "the router speaks it with browsers",
}
_YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class Staticfile:
    """What the file says; each key has the default of that buildpack.

    Parameters
    ----------
    transport_security:
        The value of Strict-Transport-Security; empty for none.
    error_pages:
        By status, URL path of the page that is sent with it.
    """

    root: str = ""
    is_listed: bool = False
    has_includes: bool = False
    is_spa: bool | None = None
    is_https_forced: bool = False
    transport_security: str = ""
    error_pages: tuple[tuple[int, str], ...] = ()
    has_passwords: bool = False
    warnings: tuple[str, ...] = ()


def read_staticfile(source: SourceTree) -> Staticfile:
    """Return what ``Staticfile`` and ``Staticfile.auth`` say.

    Raises
    ------
    ConfigurationError
        It is no YAML, no mapping, or a value is of another kind.
    """
    has_passwords = source.is_file(AUTH)
    document = _document(source) if source.is_file(NAME) else {}
    warnings = [
        f"{NAME}: {_MEANINGLESS[key]} ({key})."
        if key in _MEANINGLESS
        else f"{NAME}: {key!a} means nothing here."
        for key in document
        if key not in _KNOWN
    ]
    return Staticfile(
        root=_text(document, "root"),
        is_listed=_is_on(document, "directory"),
        has_includes=_is_on(document, "ssi"),
        is_spa=_is_on(document, "pushstate") if "pushstate" in document else None,
        is_https_forced=_is_on(document, "force_https"),
        transport_security=_transport_security(document),
        error_pages=_error_pages(document),
        has_passwords=has_passwords,
        warnings=tuple(warnings),
    )


_KNOWN = frozenset(
    {
        "root", "directory", "ssi", "pushstate", "force_https", "status_codes", _HSTS,
        f"{_HSTS}_include_subdomains", f"{_HSTS}_preload",
    }
)  # fmt: skip


def _document(source: SourceTree) -> Mapping[str, object]:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Reads every plain value as text: ``yes`` and ``1.10`` stay what they are."""

    Loader.yaml_implicit_resolvers = {}
    try:
        document = yaml.load(source.read_text(NAME, limit=1 << 20), Loader)  # noqa: S506  a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{NAME}{where}: this is no YAML.",
            details=str(getattr(error, "problem", "") or error),
            resolution="Write one `key: value` a line, for example `root: public`.",
        ) from error
    if document in (None, ""):
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{NAME}: these are no settings.",
            details="It holds a single text or a list.",
            resolution="Write one `key: value` a line, for example `root: public`; it may also be empty.",
        )
    return {str(key): value for key, value in document.items()}


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key, "")
    if isinstance(value, str):
        return value.strip()
    raise ConfigurationError(
        f"{NAME}: {key} cannot be a list or a mapping.",
        resolution=f"Write one value: `{key}: public`." if key == "root" else f"Write `{key}: true`.",
    )


def _is_on(document: Mapping[str, object], key: str) -> bool:
    return _text(document, key).lower() in _ON


def _transport_security(document: Mapping[str, object]) -> str:
    if not _is_on(document, _HSTS):
        return ""
    parts = [f"max-age={_YEAR}"]
    if _is_on(document, f"{_HSTS}_include_subdomains"):
        parts.append("includeSubDomains")
    if _is_on(document, f"{_HSTS}_preload"):
        parts.append("preload")
    return "; ".join(parts)


def _error_pages(document: Mapping[str, object]) -> tuple[tuple[int, str], ...]:
    value = document.get("status_codes")
    if value in (None, ""):
        return ()
    pages: list[tuple[int, str]] = []
    for key, page in value.items() if isinstance(value, dict) else (("", ""),):
        if not re.fullmatch(r"[45]\d\d", str(key)) or not re.fullmatch(r"/[\w./~-]+", str(page), re.ASCII):
            raise ConfigurationError(
                f"{NAME}: status_codes: {key!a} cannot be {page!a}.",
                details="A status is a number from 400 to 599, a page a path of the site.",
                resolution="Write `404: /404.html` below status_codes.",
            )
        pages.append((int(str(key)), str(page)))
    return tuple(sorted(pages))
