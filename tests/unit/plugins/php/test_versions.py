"""Version constraints as Composer reads them, and what of the host meets them."""

import json
import shutil
import subprocess

import pytest

from stager.errors import ConfigurationError, UnsupportedVersion
from stager.model.host import HostFacts, ToolFact
from stager.plugins.php.constraints import NotAConstraint, is_satisfied
from stager.plugins.php.extensions import check_platform, debian_package, requirements
from stager.plugins.php.host import Interpreter, Requirement, choose
from stager.plugins.php.manifest import Composer

CONSTRAINTS = (
    "*", "8", "8.2", "8.2.36", "8.*", "8.2.*", "^8", "^8.1", "^8.2.36", "^7.4 || ^8.0", "^7.4|^8.1", "~8",
    "~8.1", "~8.2.0", "~8.2.36", ">=8.0", ">8.2", "<8.3", "<8.2.36", "<=8.2", "!=8.2.36", "==8.2.36",
    ">=7.1.3,<8.3", ">=8.1 <8.4", ">= 8.1 < 8.4", "8.0 - 8.2", "8.0.0 - 8.2.35", "8 - 8", "7.4 - 8.2.36",
    "^0.3", "^0.0.3", "^0", ">=8.2-dev", "^8.2@dev", "8.2.x-dev", "dev-main", "v8.2.36", ">8.2.36-beta2",
    "<8.2.36-p1", "8.2.36RC1", ">=8.1@RC", "@stable", "^8.1 as 9.0", "~8.2.0-beta1",
    "8.2.0beta1 - 8.2.36RC2", "^8.1 , !=8.2.36", "x", "8.x.x",
)  # fmt: skip
VERSIONS = ("7.4.33", "8.0.0", "8.1.2", "8.2.0", "8.2.36", "8.3.0", "10.0.1", "0.3.5", "0.0.3")
#: Composer's own answers, where it is installed.
SEMVER = "/usr/share/php/Composer/Semver/autoload.php"


@pytest.mark.parametrize(
    ("constraint", "met", "not_met"),
    [
        ("^8.1", "8.2.36 8.1.0 8.99", "9.0.0 8.0.30 7.4"),
        ("~8.1.2", "8.1.2 8.1.99", "8.2.0 8.1.1"),
        (">=7.1,<8.0 || ^8.2", "7.4.33 8.2.0", "8.0.0 8.1.9"),
        ("8.0 - 8.2", "8.0.0 8.2.99", "8.3.0"),
        ("^0.3", "0.3.9", "0.4.0 1.0"),
        ("*", "5.3 99", ""),
        (">=8.2.0RC1", "8.2.0", "8.1.99"),
        ("dev-master", "", "8.2.36"),
    ],
)
def test_constraints_mean_what_composers_documentation_says(constraint, met, not_met):
    assert all(is_satisfied(version, constraint) for version in met.split())
    assert not any(is_satisfied(version, constraint) for version in not_met.split())


@pytest.mark.skipif(not shutil.which("php"), reason="Composer's own parser runs in PHP")
def test_constraints_mean_what_composer_itself_says(tmp_path):
    script = tmp_path / "ask.php"
    script.write_text(
        f"<?php if (!is_file('{SEMVER}')) exit(3); require '{SEMVER}';"
        "foreach (json_decode($argv[1]) as $c) foreach (json_decode($argv[2]) as $v)"
        "  $out[] = [$c, $v, Composer\\Semver\\Semver::satisfies($v, $c)];"
        "echo json_encode($out);"
    )
    argv = ["php", "-n", script, json.dumps(CONSTRAINTS), json.dumps(VERSIONS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("Composer's classes are not where Debian has them")
    answers = json.loads(done.stdout)
    assert len(answers) == len(CONSTRAINTS) * len(VERSIONS)
    assert [(c, v, is_satisfied(v, c)) for c, v, _ in answers] == [tuple(answer) for answer in answers]


@pytest.mark.parametrize("text", ["", ">=", "bogus", "^8.1 ||", "~>8.1", "8.2@silly"])
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(NotAConstraint):
        is_satisfied("8.2.36", text)


def host(*, mod_php=(), fpm=(), php="", extensions=()):
    lines = "".join(f"ext:{name}=8.2.36\n" for name in extensions)
    modules = tuple(f"/usr/lib/apache2/modules/libphp{minor}.so" for minor in mod_php)
    programs = tuple(f"/usr/sbin/php-fpm{minor}" for minor in fpm)
    return HostFacts.of(
        ToolFact("mod_php", (modules or ("",))[0], matches=modules),
        ToolFact("php-fpm", (programs or ("",))[0], matches=programs),
        ToolFact("php", "/usr/bin/php" if php else "", php, f"Warning: x\n\nphp={php}\n{lines}"),
    )


def php(constraint, where="composer.json, require"):
    return Requirement("php", constraint, where)


def test_mod_php_goes_first_where_both_are_there():
    assert choose(host(mod_php=["8.2"], fpm=["8.2"], php="8.2.36"), None, []).server == "mod_php"
    assert choose(host(fpm=["8.2"], php="8.2.36"), None, []).server == "fpm"
    assert choose(host(mod_php=["8.2"], fpm=["8.2"]), "fpm", []).server == "fpm"


def test_of_several_versions_the_newest_that_fits_is_chosen():
    several = host(mod_php=["8.2", "8.10", "7.4"], php="8.2.36")
    assert choose(several, None, []).minor == "8.10"
    assert choose(several, None, [php("~8.2.0")]).version == "8.2.36"
    assert choose(several, None, [php("^7.0")]).version == "7.4"
    assert choose(host(mod_php=["8.1"], fpm=["8.3"]), None, [php(">=8.2")]).server == "fpm"


def test_the_droplet_looks_for_that_very_minor_version():
    modules, _, chosen = choose(host(mod_php=["8.2"], php="8.2.36"), None, []).tools[-3:]
    assert modules.variable == "STAGER_APACHE"
    assert chosen.files[0] == "/usr/lib/apache2/modules/libphp8.2.so"
    assert (chosen.package, chosen.variable, chosen.when) == (
        "libapache2-mod-php8.2",
        "STAGER_MOD_PHP",
        "run",
    )
    fpm = choose(host(fpm=["8.2"]), None, []).tools[-1]
    assert (fpm.programs, fpm.package, fpm.variable) == (("php-fpm8.2",), "php8.2-fpm", "STAGER_PHP_FPM")
    assert not any(tool.optional for tool in choose(host(), None, []).tools)


def test_a_host_without_php_is_planned_for_all_the_same():
    nothing = choose(host(), None, [php("^99")])
    assert (nothing.server, nothing.version, nothing.path) == ("mod_php", "", "")
    assert nothing.tools[-1].files[0] == "/usr/lib/apache2/modules/libphp*.so"


def test_a_version_that_does_not_fit_names_what_was_asked_where_and_what_is_there():
    chosen = choose(host(mod_php=["8.2"], php="8.2.36"), None, [])
    with pytest.raises(UnsupportedVersion) as raised:
        check_platform(chosen, (php("^8.3"), php(">=8.4", "composer.lock, demo/x 1.0")))
    assert raised.value.exit_code == 31
    assert raised.value.brief == "The application asks for PHP ^8.3, >=8.4; this host has 8.2.36."
    assert raised.value.details == (
        "composer.json, require: ^8.3\ncomposer.lock, demo/x 1.0: >=8.4\n"
        "host: /usr/lib/apache2/modules/libphp8.2.so"
    )


def test_of_a_version_known_to_its_minor_number_any_patch_may_fit():
    chosen = Interpreter("mod_php", "8.3", "8.3", "/libphp8.3.so")
    assert check_platform(chosen, (php(">=8.3.7"),)) == ()
    with pytest.raises(UnsupportedVersion):
        check_platform(chosen, (php("~8.2.0"),))


def test_missing_extensions_are_all_named_with_their_packages():
    chosen = choose(host(mod_php=["8.2"], php="8.2.36", extensions=["Core", "json", "mbstring"]), None, [])
    composer = Composer(
        {"require": {"ext-json": "*", "ext-dom": "*", "ext-pdo_mysql": "*", "ext-redis": ">=5"}},
        {"packages": [{"name": "a/b", "version": "1.0", "require": {"ext-dom": "*", "ext-mbstring": "*"}}]},
    )
    with pytest.raises(UnsupportedVersion) as raised:
        check_platform(chosen, requirements(composer, ("intl",)))
    assert raised.value.slug == "missing-extensions"
    assert raised.value.brief == "PHP 8.2.36 on this host lacks dom, intl, pdo_mysql, redis."
    assert raised.value.details.splitlines() == [
        "dom (php8.2-xml): composer.json, require; composer.lock, a/b 1.0",
        "intl (php8.2-intl): stager.yml, php.extensions",
        "pdo_mysql (php8.2-mysql): composer.json, require",
        "redis >=5 (php8.2-redis): composer.json, require",
    ]
    assert raised.value.resolution.endswith(
        "apt-get install php8.2-xml php8.2-intl php8.2-mysql php8.2-redis"
    )


def test_packages_that_stand_in_for_an_extension_count():
    polyfill = {"name": "p/polyfill", "version": "1", "provide": {"ext-mbstring": "*"}}
    composer = Composer({"require": {"ext-mbstring": "*"}}, {"packages": [polyfill]})
    assert requirements(composer, ()) == ()
    asked = requirements(composer, ("ext-MBstring",))
    assert [one.name for one in asked] == ["ext-mbstring"]


def test_what_is_only_needed_for_development_is_not_asked_for():
    composer = Composer(
        {"require-dev": {"ext-xdebug": "*"}},
        {"packages": [], "platform-dev": {"ext-pcov": "*"}, "packages-dev": [{"require": {"ext-ast": "*"}}]},
    )
    assert requirements(composer, ()) == ()


def test_the_locks_platform_is_asked_for():
    composer = Composer({}, {"packages": [], "platform": {"php": "^8.1", "ext-intl": "*"}})
    assert [one.name for one in requirements(composer, ())] == ["php", "ext-intl"]
    assert requirements(Composer({}, {"packages": [], "platform": []}), ()) == ()


def test_opcache_is_known_by_both_of_its_names():
    chosen = choose(host(mod_php=["8.2"], php="8.2.36", extensions=["Zend OPcache"]), None, [])
    wanted = requirements(Composer({"require": {"ext-zend-opcache": "*"}}), ("opcache",))
    assert check_platform(chosen, wanted) == ()


def test_without_that_php_on_the_command_line_extensions_are_not_checked_and_it_is_said():
    chosen = choose(host(mod_php=["8.3"], php="8.2.36"), None, [])
    (warning,) = check_platform(chosen, requirements(None, ("intl",)))
    assert warning == "Not checked, because this host has no command line of PHP 8.3: ext-intl."


def test_an_unreadable_constraint_is_an_error_of_the_application():
    with pytest.raises(ConfigurationError) as raised:
        choose(host(mod_php=["8.2"], php="8.2.36"), None, [php("^8.x.beta!")])
    assert raised.value.brief == "composer.json, require: '^8.x.beta!' for php is no version constraint."


@pytest.mark.parametrize(
    ("extension", "package"),
    [
        ("simplexml", "php8.2-xml"),
        ("mysqli", "php8.2-mysql"),
        ("sqlite3", "php8.2-sqlite3"),
        ("apcu", "php8.2-apcu"),
        ("pdo_pgsql", "php8.2-pgsql"),
        ("json", "part of PHP itself"),
    ],
)
def test_the_table_of_packages_is_debians(extension, package):
    assert debian_package(extension, "8.2") == package
