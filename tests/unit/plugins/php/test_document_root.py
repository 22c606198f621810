"""Which folder is served: asked for, known by the kind of application, or found."""

import json
from pathlib import Path

import pytest

from stager.errors import ConfigurationError
from stager.model.plan import Shell
from stager.plugins.php.document_root import find_document_root
from stager.plugins.php.layouts import LAYOUTS
from stager.plugins.php.manifest import read_composer
from stager.plugins.php.procfile import HerokuWeb, heroku_web
from stager.source.tree import Tree

FIXTURES = Path(__file__).parents[3] / "fixtures"


def find(root, *paths, option=None, procfile=None):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}" if path == "composer.json" else "")
    source = Tree.of_directory(root)
    return find_document_root(source, read_composer(source), option, procfile)


@pytest.mark.parametrize(
    ("fixture", "path", "layout", "front"),
    [
        ("plain", "", None, ""),
        ("htaccess", "", None, ""),
        ("laravel", "public", "Laravel", "index.php"),
        ("symfony", "public", "Symfony", "index.php"),
        ("wordpress", "", "WordPress", "index.php"),
        ("drupal", "web", "Drupal", "index.php"),
        ("cakephp", "webroot", "CakePHP", ""),
        ("slim", "public", "Slim", "index.php"),
        ("composer", "public", None, "index.php"),
        ("settings", "public", None, ""),
    ],
)
def test_each_kind_of_application_has_its_own(fixture, path, layout, front):
    source = Tree.of_directory(FIXTURES / f"php_{fixture}")
    found = find_document_root(source, read_composer(source))
    assert (found.path, found.layout and found.layout.name, found.front) == (path, layout, front)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.name}-{layout.document_root}")
def test_every_layout_is_found_by_its_own_marks(tmp_path, layout):
    front = f"{layout.document_root}/{layout.front}".lstrip("/")
    marks = [mark.split("|")[0] for mark in layout.marks]
    found = find(
        tmp_path, front, *(f"{mark}/x" if "." not in mark and mark != "artisan" else mark for mark in marks)
    )
    assert (found.path, found.layout) == (layout.document_root, layout)


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        (["index.php", "public/index.php"], ""),
        (["index.php", "public/index.php", "composer.json"], "public"),
        (["htdocs/index.php"], "htdocs"),
        (["www/start.php"], "www"),
        (["start.php", "www/other.php"], ""),
        (["src/x.php", "composer.json"], ""),
    ],
)
def test_without_a_known_kind_the_index_decides(tmp_path, paths, path):
    assert find(tmp_path, *paths).path == path


@pytest.mark.parametrize("option", ["public_html/site", "public_html//site/", "./public_html/site"])
def test_the_setting_wins_in_any_spelling(tmp_path, option):
    found = find(tmp_path, "index.php", "public_html/site/index.php", option=option)
    assert found.path == "public_html/site"


def test_the_root_itself_can_be_asked_for(tmp_path):
    assert find(tmp_path, "public/index.php", "index.php", option=".").path == ""


def test_the_setting_wins_over_the_procfile_and_the_procfile_over_the_search(tmp_path):
    line = HerokuWeb("heroku-php-apache2", "site/")
    paths = ["public/index.php", "site/index.php", "other/index.php"]
    assert find(tmp_path, *paths, procfile=line).path == "site"
    assert find(tmp_path, *paths, procfile=line, option="other").path == "other"


@pytest.mark.parametrize("option", ["../other", "/srv/www", "public/../../x", "/"])
def test_outside_the_application_is_an_error_that_names_the_key(tmp_path, option):
    with pytest.raises(ConfigurationError) as raised:
        find(tmp_path, "index.php", option=option)
    assert raised.value.exit_code == 10
    assert raised.value.brief == f"php.document_root: {option!r} is not inside the application."


@pytest.mark.parametrize("option", ["publik", "index.php"])
def test_a_folder_that_is_not_there_is_an_error_that_shows_those_that_are(tmp_path, option):
    with pytest.raises(ConfigurationError) as raised:
        find(tmp_path, "index.php", "public/index.php", option=option)
    assert raised.value.brief == f"php.document_root: the application has no folder {option!r}."
    assert raised.value.details == "Its folders: public."


def test_a_folder_that_composer_will_make_can_be_asked_for(tmp_path):
    extra = {"drupal-scaffold": {"locations": {"web-root": "docs/"}}}
    (tmp_path / "composer.json").write_text(json.dumps({"extra": extra}))
    (tmp_path / "composer.lock").write_text('{"packages": []}')
    assert find(tmp_path, option="docs").path == "docs"
    assert find(tmp_path).path == "docs"


def test_the_entry_file_is_the_one_whose_syntax_is_checked(tmp_path):
    assert find(tmp_path, "public/index.php", "composer.json").entry == "public/index.php"
    assert find(tmp_path / "b", "about.php", "zoo.php").entry == "about.php"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heroku-php-apache2 public/", HerokuWeb("heroku-php-apache2", "public/")),
        ("vendor/bin/heroku-php-apache2 public", HerokuWeb("heroku-php-apache2", "public")),
        ("exec heroku-php-nginx web/", HerokuWeb("heroku-php-nginx", "web/")),
        ("heroku-php-apache2", HerokuWeb("heroku-php-apache2")),
        (
            "heroku-php-apache2 -C apache.conf -v -i php.ini 'my site'/",
            HerokuWeb("heroku-php-apache2", "my site/", ("-C apache.conf", "-v", "-i php.ini")),
        ),
        ("php artisan migrate && heroku-php-apache2 public/", None),
        ("heroku-php-apache2 public/ && echo", None),
        ("php -S 0.0.0.0:$PORT", None),
        ("heroku-php-apache2 'open", None),
        ("", None),
    ],
)
def test_the_line_of_heroku_names_a_document_root(text, expected):
    assert heroku_web(Shell(text)) == expected


def test_a_line_written_as_a_list_is_understood_too():
    assert heroku_web(("heroku-php-apache2", "public/")) == HerokuWeb("heroku-php-apache2", "public/")
    assert heroku_web(None) is None
