"""What uv and the tools that it runs say when they fail for a known reason, and what the user is told then.

The patterns were tried against uv 0.13.9.
"""

from __future__ import annotations

from stager.model.plan import KnownFailure

_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)"
#: A requirement as uv prints it where it builds it: `name==1.0`, `name @ file:///…`, `file:///…/name`.
_BUILT = rf"`(?:file://\S*/)?{_NAME}"

#: Headers that a compiler misses, and Debian's package of each.
_HEADERS = {
    "python3-dev": r"Python\.h|pyconfig\.h",
    "libpq-dev": r"libpq-fe\.h",
    "default-libmysqlclient-dev": r"mysql\.h|mysql/mysql\.h",
    "libssl-dev": r"openssl/\S+\.h",
    "libffi-dev": r"ffi\.h",
    "libxml2-dev libxslt1-dev": r"(?:libxml|libxslt)/\S+\.h",
    "libldap2-dev libsasl2-dev": r"(?:ldap|lber)\.h|sasl/\S+\.h",
    "libjpeg-dev zlib1g-dev": r"(?:jpeglib|zlib)\.h",
    "libcurl4-openssl-dev": r"curl/curl\.h",
    "unixodbc-dev": r"sql(?:ext)?\.h",
    "libkrb5-dev": r"krb5\.h|gssapi\S*\.h",
    "libcairo2-dev": r"cairo\S*\.h",
    "libgdal-dev libgeos-dev": r"(?:gdal|geos_c)\.h",
    "libsqlite3-dev": r"sqlite3\.h",
    "libxmlsec1-dev": r"xmlsec/\S+\.h",
}
_INSTALL = "Install it on the host that builds: apt-get install -y --no-install-recommends "


def _lacking(package: str, pattern: str, what: str) -> KnownFailure:
    return KnownFailure(
        pattern,
        f"A package has to be compiled, and {what}.",
        f"{_INSTALL}{package}. Or ask for a version, or a package (psycopg2-binary), that has a wheel.",
    )


_OTHER_PYTHON = (
    "Ask for another version of it, or of Python: python_wsgi.version in stager.yml, or .python-version."
)
_HOST = (
    KnownFailure(
        r"No space left on device|os error 28",
        "The disk is full.",
        "Make room where the workspace and the cache are (TMPDIR, --cache-dir).",
    ),
)
_OFFLINE = (
    KnownFailure(
        rf"(?s)Because {_NAME}\S* (?:was not found in the cache|needs to be downloaded)"
        r"(?=.*network was disabled)",
        "Offline, and {name} ({where}) is not in the cache.",
        "Build it once without --offline, with the same --cache-dir.",
        is_offline=True,
    ),
    KnownFailure(
        r"(?i)network (?:was|is) disabled|network connectivity is disabled|the network was disabled",
        "Offline, and not everything that this build needs is in the cache.",
        "Build it once without --offline, with the same --cache-dir.",
        is_offline=True,
    ),
)
_INDEX = (
    KnownFailure(
        r"An index(?: URL)? \((?P<index>[^)\s]+)\) "
        r"(?:could not be queried due to a lack of valid authentication|returned a 40[13])",
        "The package index {index} refuses the credentials, or wants some.",
        "Give them for the build: --build-env UV_DEFAULT_INDEX=https://NAME:PASSWORD@….",
    ),
    KnownFailure(
        r"HTTP status client error \((?P<status>40[13] \w+)\) for url \((?P<url>[^)\s]+)\)",
        "{url} answered {status}.",
        "Give credentials for the build: --build-env UV_DEFAULT_INDEX=https://NAME:PASSWORD@….",
    ),
    KnownFailure(
        r"HTTP status client error \((?P<status>4\d\d [\w ]+)\) for url \((?P<url>[^)\s]+)\)",
        "{url} answered {status}.",
        "Mend the URL of that requirement.",
    ),
    KnownFailure(
        r"(?s)Failed to fetch: `?(?P<url>[^\s`]+).*invalid peer certificate: (?P<why>\w+)",
        "The certificate of {url} is not trusted: {why}.",
        "Add its authority to the host's (update-ca-certificates), or name a file in SSL_CERT_FILE.",
    ),
    KnownFailure(
        r"Failed to fetch: `?(?P<url>[^\s`]+)|unable to access '(?P<git>[^']+)'",
        "A package index or repository cannot be reached.",
        "Is the network there, and does the build need a proxy (HTTPS_PROXY)? What is in the cache installs "
        "with --offline.",
    ),
    KnownFailure(
        rf"Because {_NAME} was not found in the (?:package registry|provided package locations)",
        "{where}: there is no package {name}.",
        "Is its name spelt as the index spells it? A package of your own index needs --extra-index-url.",
    ),
)
_RESOLUTION = (
    KnownFailure(
        rf"(?s)current Python version \([\d.]+\) does not satisfy Python(?P<range>[^\s,]+)"
        rf" and you\s+require\s+{_NAME}",
        "{where}: {name} needs Python {range}.",
        _OTHER_PYTHON,
    ),
    KnownFailure(
        rf"{_NAME}(?:[=<>!~]\S*)? requires Python (?P<range>[^\s,]+)",
        "{where}: {name} needs Python {range}.",
        _OTHER_PYTHON,
    ),
    KnownFailure(
        rf"there is no version of {_NAME}(?P<version>[=<>!~]\S*)",
        "{where}: there is no {name}{version}.",
        "Ask for one that has been published.",
    ),
    KnownFailure(
        rf"(?s){_NAME}(?P<version>[=<>!~]\S*) has no wheels with a matching",
        "{where}: {name}{version} has no wheel for this Python and this machine.",
        "Ask for another version of it, or of Python.",
    ),
    KnownFailure(
        r"No solution found when resolving",
        "The requirements contradict each other.",
        "The last lines say which ones: change a version until they agree.",
    ),
)
_FILES = (
    KnownFailure(
        r"Couldn't parse requirement in `(?P<file>[^`]+)` at position \d+\n"
        r"\s*cause: (?P<why>[^\n]+)\n\s*(?P<name>\S[^\n]*)",
        "{where}: `{name}` is no requirement: {why}",
        "Write it like: flask>=3",
    ),
    KnownFailure(
        r"failed to decode file `(?P<file>[^`]+)`",
        "{file} is not UTF-8.",
        "Save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8",
    ),
    KnownFailure(
        rf"(?s)Hash mismatch for `{_NAME}",
        "{where}: what the index has of {name} is not what its hash says.",
        "If you trust what is there now, make the hashes anew (uv lock, pip-compile --generate-hashes); "
        "else find out who changed it.",
    ),
    KnownFailure(
        rf"all requirements must have (?:a hash|their versions pinned)[^:\n]*: {_NAME}",
        "{where}: {name} has no hash or no exact version, and others have.",
        "Write the file with pip-compile --generate-hashes or uv pip compile --generate-hashes.",
    ),
    KnownFailure(
        r"(?:lockfile at `uv\.lock` needs to be updated|Missing lockfile)",
        "uv.lock is not the lock of this pyproject.toml.",
        "Make it anew, and add it to the application: uv lock",
    ),
    KnownFailure(
        r"pyproject\.toml changed significantly since poetry\.lock|poetry\.lock is not up to date",
        "poetry.lock is not the lock of this pyproject.toml.",
        "Make it anew, and add it to the application: poetry lock",
    ),
    KnownFailure(
        r"Lock ?file (?:doesn't satisfy|hash doesn't match|is not up to date)",
        "pdm.lock is not the lock of this pyproject.toml.",
        "Make it anew, and add it to the application: pdm lock",
    ),
    KnownFailure(
        r"Distribution not found at: (?P<path>\S+)",
        "A local package is not there: {path}",
        "A relative path is looked up from the application's root.",
    ),
)
_BUILDS = (
    KnownFailure(
        r"Multiple top-level (?:packages|modules) discovered in a flat-layout: (?P<found>[^\n]+)",
        "The application cannot be installed as a package: setuptools finds several in it, {found}",
        "If it need not be installed, take [build-system] out of pyproject.toml; else say which they are: "
        "[tool.setuptools] packages = […]",
    ),
    *(
        _lacking(package, rf"(?P<header>{pattern}): No such file or directory", "{header} is missing")
        for package, pattern in _HEADERS.items()
    ),
    _lacking("libpq-dev", r"pg_config executable not found|pg_config is required", "pg_config is missing"),
    _lacking(
        "default-libmysqlclient-dev pkg-config",
        r"Can not find valid pkg-config name|mysql_config(?:: | )not found",
        "MySQL's client library is missing",
    ),
    _lacking(
        "build-essential",
        r"No such file or directory: '[^']*(?:cc|c\+\+|g\+\+|clang)'|command '[^']*gcc' failed: No such file",
        "there is no compiler",
    ),
    _lacking(
        "rustc cargo",
        r"(?i)can't find rust compiler|rust toolchain|cargo.{0,40}not found",
        "there is no Rust",
    ),
    _lacking("cmake", r"CMake must be installed|No such file or directory: 'cmake'", "there is no cmake"),
    KnownFailure(
        rf"Failed to (?:download and )?build {_BUILT}",
        "{name} ({where}) has no wheel for this Python, and could not be built from its source.",
        "The last lines are its own. Ask for a version that has a wheel, or install what it misses.",
    ),
    KnownFailure(
        r"Call to `(?P<call>[^`]+)` failed|The build backend returned an error",
        "A package could not be built from its source.",
        "The last lines are its own. If it is the application itself, mend its pyproject.toml or setup.py.",
    ),
)

FAILURES: tuple[KnownFailure, ...] = (*_HOST, *_OFFLINE, *_INDEX, *_RESOLUTION, *_FILES, *_BUILDS)
