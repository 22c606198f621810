"""What people are told of a plan: what was decided and why, and what they should know."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stager.model.plan import Command, Shell
from stager.model.source_tree import SourceTree
from stager.plugins.php.host import Interpreter
from stager.plugins.php.install import is_installed
from stager.plugins.php.manifest import Composer
from stager.plugins.php.memory import limit_mib
from stager.plugins.php.procfile import HerokuWeb
from stager.plugins.php.serving import Application
from stager.plugins.php.uploads import upload_limits

_LIMITED = re.compile(r"(?im)^[ \t]*php_(?:admin_)?(?:value|flag)\b")
_GUARDED = re.compile(r"(?is)<IfModule\s+\"?!?(?:mod_)?php[^>]*>.*?</IfModule>")


def choices(application: Application, php: Interpreter) -> tuple[tuple[str, str], ...]:
    """Return the decisions: (what, which and why)."""
    root, ini = application.root, application.ini
    memory = ini.in_force["memory_limit"]
    decided = [
        ("document root", f"{root.path or 'the whole application'}, because {root.why}"),
        ("server", f"{php.server} {php.version}".strip()),
        ("memory of one process", f"{memory.value}, from {memory.where}"),
    ]
    if root.front:
        decided.append(("front controller", f"/{root.front}, because there is no .htaccess"))
    decided += [
        (f"{folder.removeprefix('app').removeprefix('/') or '.'}/.user.ini", "written into the configuration")
        for folder, _ in ini.translated
    ]
    return tuple(decided)


def warnings(
    application: Application, php: Interpreter, command: Command | None, heroku: HerokuWeb | None
) -> tuple[str, ...]:
    """Return what the user should know, and that ends nothing."""
    source, composer = application.source, application.composer
    return (
        *upload_limits(application.ini.in_force).warnings,
        *_of_host(php),
        *_of_composer(source, composer),
        *_of_procfile(command, heroku),
        *_of_htaccess(application, php),
        *_of_memory(application),
    )


def _of_host(php: Interpreter) -> Iterator[str]:
    if not php.path:
        yield f"This host has no {php.server}: the droplet is planned for any version of PHP."


def _of_composer(source: SourceTree, composer: Composer | None) -> Iterator[str]:
    if composer is None:
        if source.is_file("composer.lock"):
            yield "composer.lock is there without composer.json: nothing is installed. Add composer.json."
        return
    if composer.lock is None:
        packages = [name for name in composer.section("require") if "/" in name]
        vendor = f"{composer.vendor_directory}/autoload.php"
        if packages and not source.is_file(vendor):
            yield (
                f"composer.json requires {', '.join(packages[:5])}, but there is no composer.lock: nothing "
                "is installed. Run `composer update` and add composer.lock to the application."
            )
        elif packages:
            yield (
                f"There is no composer.lock: {composer.vendor_directory}/ is used as it came, and nothing "
                "tells whether it is complete. Run `composer update` and add composer.lock."
            )
    elif is_installed(source, composer) and composer.lock.get("packages-dev"):
        names = {str(package.get("name")) for package in composer.lock["packages-dev"]}
        inside = sorted(name for name in names if source.is_directory(f"{composer.vendor_directory}/{name}"))
        if inside:
            yield (
                f"{composer.vendor_directory}/ came along with packages for development ({inside[0]}): "
                "it is used as it is. Leave it out, and it is installed without them."
            )


def _of_procfile(command: Command | None, heroku: HerokuWeb | None) -> Iterator[str]:
    if heroku is None:
        if isinstance(command, Shell) and "heroku-php-" in command.text:
            yield (
                "The Procfile's web line runs as written, and heroku-php-apache2 is not part of a droplet. "
                "Write the line with that command alone, and the rest as a hook."
            )
        return
    if heroku.launcher == "heroku-php-nginx":
        yield "The Procfile asks for nginx; Apache serves instead. Rules of nginx do not apply."
    if heroku.ignored:
        yield (
            f"Options of the Procfile's web line mean nothing here: {', '.join(heroku.ignored)}. Put "
            "directives into .stager/apache/*.conf, .stager/php/*.ini or .stager/php-fpm/*.conf."
        )


def _of_htaccess(application: Application, php: Interpreter) -> Iterator[str]:
    path = application.root.within(".htaccess")
    if php.server != "fpm" or not application.source.is_file(path):
        return
    if _LIMITED.search(_GUARDED.sub("", application.source.read_text(path))):
        yield (
            f"{path} has php_value or php_flag, which only mod_php knows: with php-fpm every request would "
            "be answered 500. Move them into .user.ini, or set php.server to mod_php."
        )


def _of_memory(application: Application) -> Iterator[str]:
    if limit_mib(application.ini.in_force) == 0:
        where = application.ini.in_force["memory_limit"].where
        yield f"{where}: without a limit, one process gets all the memory, and there is only one."
