"""Whole plans, held against golden ones. `UPDATE_GOLDEN=1 pytest …/test_buildpack.py` writes them anew."""

import json
import os
import shutil
from pathlib import Path

import pytest

from stager.buildpack import PlanContext
from stager.errors import ConfigurationError, UnsupportedVersion
from stager.model.droplet import plain
from stager.model.host import HostFacts, ToolFact
from stager.model.plan import Shell
from stager.plugins.php import stager_register_buildpacks
from stager.plugins.php.buildpack import PhpBuildpack
from stager.plugins.php.options import PhpOptions
from stager.rendering import Renderer
from stager.source.tree import Tree

TESTS = Path(__file__).parents[3]
MODULES = "/usr/lib/apache2/modules"
EXTENSIONS = ("Core", "ctype", "dom", "iconv", "json", "mbstring", "Zend OPcache")
HOST = HostFacts.of(
    ToolFact("apache2", "/usr/sbin/apache2", "2.4.71"),
    ToolFact("apache modules", MODULES),
    ToolFact("mod_php", f"{MODULES}/libphp8.2.so", "8.2", matches=(f"{MODULES}/libphp8.2.so",)),
    ToolFact("php-fpm", "/usr/sbin/php-fpm8.2", "8.2", matches=("/usr/sbin/php-fpm8.2",)),
    ToolFact(
        "php",
        "/usr/bin/php",
        "8.2.36",
        "php=8.2.36\n" + "".join(f"ext:{name}=8.2.36\n" for name in EXTENSIONS),
    ),
    ToolFact("composer", "/usr/bin/composer"),
)
SETTINGS = PhpOptions(
    memory_limit="256M", ini={"max_input_vars": "2000", "error_reporting": "E_ALL & ~E_NOTICE"}
)
CASES = {
    "php_plain": ("php_plain", PhpOptions()),
    "php_plain_fpm": ("php_plain", PhpOptions(server="fpm")),
    "php_laravel": ("php_laravel", PhpOptions()),
    "php_composer": ("php_composer", PhpOptions()),
    "php_settings": ("php_settings", SETTINGS),
    "php_settings_fpm": ("php_settings", PhpOptions(server="fpm", ini=SETTINGS.ini)),
    "php_drupal": ("php_drupal", PhpOptions()),
}


def plan(source, options=None, **context):
    tree = Tree.of_directory(source)
    return PhpBuildpack().plan(PlanContext(tree, options or PhpOptions(), HOST, **context))


def fixture(name):
    return TESTS / "fixtures" / name


def tree(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def rendered(made):
    renderer = Renderer()
    return {file.path: renderer.render(file.template, file.values) for file in made.files}


@pytest.mark.parametrize("case", CASES)
def test_the_plan_and_its_files_are_the_golden_ones(case):
    source, options = CASES[case]
    made = plan(fixture(source), options)
    document = {**plain(made), "files": [file.path for file in made.files]}
    files = {"plan.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n"}
    files |= {f"droplet/{path}": text for path, text in rendered(made).items()}
    golden = TESTS / "golden" / case
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(golden, ignore_errors=True)
        for path, text in files.items():
            (golden / path).parent.mkdir(parents=True, exist_ok=True)
            (golden / path).write_text(text)
    stored = {str(path.relative_to(golden)): path.read_text() for path in golden.rglob("*") if path.is_file()}
    assert stored == files


@pytest.mark.parametrize("case", CASES)
def test_equal_contexts_give_equal_plans(case):
    source, options = CASES[case]
    assert plan(fixture(source), options) == plan(fixture(source), options)


@pytest.mark.parametrize("case", CASES)
def test_every_generated_file_says_in_its_first_line_where_ones_own_directives_go(case):
    source, options = CASES[case]
    for path, text in rendered(plan(fixture(source), options)).items():
        head = "\n".join(text.splitlines()[:2])
        assert text.startswith(("# Rendered by stager;", "; Rendered by stager;")), path
        assert "app/.stager/" in head, path


def test_the_plugin_registers_one_buildpack():
    (buildpack,) = stager_register_buildpacks()
    assert (buildpack.runtime, buildpack.options) == ("php", PhpOptions)


def test_apache_is_one_process_and_with_fpm_it_has_a_companion():
    (mod_php,) = plan(fixture("php_plain")).processes
    assert (mod_php.companions, mod_php.stop_signal, len(mod_php.checks)) == ((), "WINCH", 1)
    (fpm,) = plan(fixture("php_plain"), PhpOptions(server="fpm")).processes
    (companion,) = fpm.companions
    assert (companion.stop_signal, companion.ready_socket) == ("QUIT", "${STAGER_SOCKETS}/fpm.sock")
    assert [check[-1] for check in fpm.checks] == ["-t", "--test"]


def test_the_grace_period_is_that_of_both_servers():
    made = plan(fixture("php_plain"), PhpOptions(server="fpm"), grace=7.2)
    files = rendered(made)
    assert made.processes[0].grace == 7.2
    assert "\nGracefulShutdownTimeout 8\n" in files["apache/apache2.conf"]
    assert "\nprocess_control_timeout = 8s\n" in files["php-fpm/php-fpm.conf"]


def test_a_web_command_of_the_users_replaces_ours():
    made = plan(fixture("php_plain"), processes={"web": Shell("php -S 0.0.0.0:$PORT")}, grace=3)
    (web,) = made.processes
    assert (web.command, web.grace, web.workers) == (Shell("php -S 0.0.0.0:$PORT"), 3, None)
    assert (made.files, made.tools) == ((), ())


def test_the_line_of_heroku_is_a_document_root_and_no_command():
    made = plan(fixture("php_procfile"), processes={"web": Shell("vendor/bin/heroku-php-apache2 site/")})
    assert made.processes[0].command[0] == "${STAGER_APACHE}"
    assert ("document root", "site, because the Procfile says so") in made.choices
    assert 'Define STAGER_SITE "app/site"' in rendered(made)["apache/sites-available/default"]


@pytest.mark.parametrize(
    ("name", "writable"),
    [
        ("laravel", ("app/storage", "app/bootstrap/cache")),
        ("symfony", ("app/var",)),
        ("wordpress", ("app/wp-content/uploads",)),
        ("drupal", ("app/web/sites/default/files",)),
        ("cakephp", ("app/tmp", "app/logs")),
        ("plain", ()),
    ],
)
def test_what_the_application_writes_to_is_writable(name, writable):
    assert plan(fixture(f"php_{name}")).writable == writable


def test_the_versions_of_the_plan_are_the_hosts():
    assert plan(fixture("php_plain")).versions == {"php": "8.2.36"}


def test_a_missing_extension_ends_the_plan():
    with pytest.raises(UnsupportedVersion) as raised:
        plan(fixture("php_plain"), PhpOptions(extensions=("redis",)))
    assert raised.value.brief == "PHP 8.2.36 on this host lacks redis."


def test_a_name_that_apache_cannot_hold_is_refused(tmp_path):
    source = tree(tmp_path, {'we"b/index.php': ""})
    with pytest.raises(ConfigurationError) as raised:
        plan(source, PhpOptions(document_root='we"b'))
    assert raised.value.details == "It holds '\"'."


def test_names_with_spaces_and_letters_of_the_world_are_served(tmp_path):
    source = tree(tmp_path, {"öffentliche seiten/index.php": ""})
    made = plan(source, PhpOptions(document_root="öffentliche seiten"))
    assert 'Define STAGER_SITE "app/öffentliche seiten"' in rendered(made)["apache/sites-available/default"]


@pytest.mark.parametrize(
    ("files", "options", "warning"),
    [
        (
            {"composer.json": '{"require": {"a/b": "*", "php": "*"}}', "index.php": ""},
            PhpOptions(),
            (
                "composer.json requires a/b, but there is no composer.lock: nothing is installed. Run "
                "`composer update` and add composer.lock to the application."
            ),
        ),
        (
            {"composer.json": '{"require": {"a/b": "*"}}', "vendor/autoload.php": ""},
            PhpOptions(),
            (
                "There is no composer.lock: vendor/ is used as it came, and nothing tells whether "
                "it is complete. Run `composer update` and add composer.lock."
            ),
        ),
        (
            {"composer.lock": "{}", "index.php": ""},
            PhpOptions(),
            "composer.lock is there without composer.json: nothing is installed. Add composer.json.",
        ),
        (
            {"index.php": "", ".htaccess": "php_value upload_max_filesize 9M\n"},
            PhpOptions(server="fpm"),
            (
                ".htaccess has php_value or php_flag, which only mod_php knows: with php-fpm every request "
                "would be answered 500. Move them into .user.ini, or set php.server to mod_php."
            ),
        ),
        (
            {"index.php": ""},
            PhpOptions(memory_limit="-1"),
            "php.memory_limit: without a limit, one process gets all the memory, and there is only one.",
        ),
    ],
)
def test_what_the_user_should_know_is_said(tmp_path, files, options, warning):
    assert plan(tree(tmp_path, files), options).warnings == (warning,)


@pytest.mark.parametrize(
    "text",
    [
        "<IfModule mod_php.c>\nphp_value upload_max_filesize 9M\n</IfModule>\n",
        "<IfModule php_module>\n  php_flag short_open_tag off\n</IfModule>\n",
        "# php_value a b\n",
    ],
)
def test_guarded_directives_of_mod_php_are_fine_with_fpm(tmp_path, text):
    source = tree(tmp_path, {"index.php": "", ".htaccess": text})
    assert plan(source, PhpOptions(server="fpm")).warnings == ()


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        (
            "heroku-php-nginx",
            "The Procfile asks for nginx; Apache serves instead. Rules of nginx do not apply.",
        ),
        (
            "heroku-php-apache2 -C a.conf",
            (
                "Options of the Procfile's web line mean nothing here: -C a.conf. Put directives into "
                ".stager/apache/*.conf, .stager/php/*.ini or .stager/php-fpm/*.conf."
            ),
        ),
        (
            "x && heroku-php-apache2",
            (
                "The Procfile's web line runs as written, and heroku-php-apache2 is not part of a droplet. "
                "Write the line with that command alone, and the rest as a hook."
            ),
        ),
    ],
)
def test_lines_of_heroku_that_mean_less_here_are_warned_of(line, warning):
    assert plan(fixture("php_plain"), processes={"web": Shell(line)}).warnings == (warning,)


def test_packages_for_development_that_came_along_are_warned_of(tmp_path):
    lock = {"packages": [], "packages-dev": [{"name": "dev/tool", "version": "1"}]}
    files = {
        "composer.json": "{}",
        "composer.lock": json.dumps(lock),
        "vendor/autoload.php": "",
        "vendor/composer/installed.json": '{"packages": []}',
        "vendor/dev/tool/x.php": "",
    }
    (warning,) = plan(tree(tmp_path, files)).warnings
    assert warning.startswith("vendor/ came along with packages for development (dev/tool)")


def test_own_pool_files_are_included_only_where_there_are_some(tmp_path):
    source = tree(tmp_path, {"index.php": "", ".stager/php-fpm/a.conf": "[www]\n"})
    own = "include = ${STAGER_ROOT}/app/.stager/php-fpm/*.conf"
    assert own in rendered(plan(source, PhpOptions(server="fpm")))["php-fpm/php-fpm.conf"]
    without = plan(fixture("php_plain"), PhpOptions(server="fpm"))
    assert own not in rendered(without)["php-fpm/php-fpm.conf"]


def test_the_vendor_folder_is_denied_where_it_lies_in_the_document_root(tmp_path):
    inside = tree(tmp_path / "a", {"composer.json": '{"config": {"vendor-dir": "lib.d/v"}}', "index.php": ""})
    assert '"(?i)^/lib[.]d/v(?:/|$)"' in rendered(plan(inside))["apache/sites-available/default"]
    above = tree(tmp_path / "b", {"composer.json": "{}", "public/index.php": ""})
    assert "vendor" not in rendered(plan(above))["apache/sites-available/default"]
