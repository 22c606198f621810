"""What is told of a Django project by reading it."""

import pytest

from stager.errors import PlanError
from stager.plugins.python_wsgi.reading.django import find_projects
from stager.source.tree import Tree

MANAGE = (
    "import os\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\nmain()\n"
)
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
APPS = "INSTALLED_APPS = ['django.contrib.staticfiles']\n"
BASE = "from pathlib import Path\nimport os\nBASE_DIR = Path(__file__).resolve().parent.parent\n"


def tree(root, files):
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return Tree.of_directory(root)


def project(root, settings, **more):
    files = {
        "manage.py": MANAGE,
        "site1/__init__.py": "",
        "site1/settings.py": settings,
        "site1/wsgi.py": WSGI,
    }
    (found,) = find_projects(
        tree(root, files | {name.replace("__", "/"): text for name, text in more.items()})
    )
    return found


@pytest.mark.parametrize(
    ("line", "root"),
    [
        ("STATIC_ROOT = BASE_DIR / 'staticfiles'", "staticfiles"),
        ("STATIC_ROOT = BASE_DIR / 'a' / 'b'", "a/b"),
        ("STATIC_ROOT = str(BASE_DIR / 'static')", "static"),
        ("STATIC_ROOT = BASE_DIR.joinpath('x', 'y')", "x/y"),
        ("STATIC_ROOT = os.path.join(BASE_DIR, 'static')", "static"),
        ("STATIC_ROOT = os.path.join(BASE_DIR, 'public', 'static/')", "public/static"),
        ("STATIC_ROOT = f'{BASE_DIR}/static'", "static"),
        ("STATIC_ROOT = 'static'", "static"),
        ("STATIC_ROOT = './assets/static/'", "assets/static"),
        ("STATIC_ROOT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 's')", "s"),
        ("STATIC_ROOT = os.path.normpath(os.path.join(BASE_DIR, 'site1', '..', 's'))", "s"),
        ("STATIC_ROOT = os.environ.get('STATIC_ROOT', BASE_DIR / 'st')", "st"),
        ("STATIC_ROOT = os.getenv('STATIC_ROOT') or BASE_DIR / 'st'", "st"),
        ("STATIC_ROOT = config('STATIC_ROOT', default='st')", "st"),
        ("STATIC_ROOT = env.str('STATIC_ROOT', default=str(BASE_DIR / 'st'))", "st"),
        ("import environ\nroot = environ.Path(__file__) - 2\nSTATIC_ROOT = root('st')", "st"),
        ("import environ\nroot = environ.Path(__file__) - 2\nSTATIC_ROOT = str(root.path('st'))", "st"),
        ("P = Path(__file__).resolve().parents[1]\nSTATIC_ROOT = P / 'st'", "st"),
        ("NAME = 'st'\nSTATIC_ROOT = BASE_DIR / NAME", "st"),
        ("STATIC_ROOT: Path = BASE_DIR / 'st'", "st"),
        ("if True:\n    STATIC_ROOT = BASE_DIR / 'st'", "st"),
        ("DEBUG = False\nif DEBUG:\n    STATIC_ROOT = 'a'\nelse:\n    STATIC_ROOT = 'b'", "b"),
        ("if not read():\n    STATIC_ROOT = BASE_DIR / 'st'", "st"),
        ("try:\n    STATIC_ROOT = BASE_DIR / 'st'\nexcept OSError:\n    pass", "st"),
        ("try:\n    from .local import *\nexcept ImportError:\n    pass\nSTATIC_ROOT = 'st'", "st"),
    ],
)
def test_static_root_in_every_spelling(tmp_path, line, root):
    found = project(tmp_path, f"{BASE}{APPS}{line}\n")
    assert (found.static_root, found.collects) == (root, True)
    assert found.why.startswith("STATIC_ROOT: site1/settings.py line ")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (APPS, "STATIC_ROOT is not set"),
        (f"{APPS}STATIC_ROOT = ''\n", "STATIC_ROOT is not set"),
        (f"{APPS}STATIC_ROOT = None\n", "STATIC_ROOT is not set"),
        ("INSTALLED_APPS = []\nSTATIC_ROOT = 'st'\n", "django.contrib.staticfiles is not in INSTALLED_APPS"),
        (
            f"{APPS}import os\nSTATIC_ROOT = os.environ['X']\n",
            "STATIC_ROOT cannot be told by reading: site1/settings.py line 3",
        ),
        (
            f"{APPS}STATIC_ROOT = '/var/www'\n",
            "STATIC_ROOT is /var/www, outside the application: site1/settings.py line 2",
        ),
        (
            f"{BASE}{APPS}STATIC_ROOT = BASE_DIR.parent / 'x'\n",
            "STATIC_ROOT cannot be told by reading: site1/settings.py line 5",
        ),
        (
            f"{BASE}{APPS}STATIC_ROOT = BASE_DIR\n",
            "STATIC_ROOT is the application's root: site1/settings.py line 5",
        ),
        (
            f"{APPS}if read():\n    STATIC_ROOT = 'a'\nelse:\n    STATIC_ROOT = 'b'\n",
            "STATIC_ROOT cannot be told by reading: site1/settings.py line 5",
        ),
        (
            f"{APPS}STATIC_ROOT = 'st'\nSTATICFILES_STORAGE = 'storages.backends.s3boto3.S3Boto3Storage'\n",
            "static files go to storages.backends.s3boto3.S3Boto3Storage, not into a folder",
        ),
        (
            (
                f"{APPS}STATIC_ROOT = 'st'\n"
                "STORAGES = {'staticfiles': {'BACKEND': 'storages.backends.gcloud.GoogleCloudStorage'}}\n"
            ),
            "static files go to storages.backends.gcloud.GoogleCloudStorage, not into a folder",
        ),
    ],
)
def test_why_nothing_is_collected(tmp_path, settings, why):
    found = project(tmp_path, settings)
    assert (found.collects, found.why, found.static_root) == (False, why, "")


@pytest.mark.parametrize(
    "apps",
    [
        "INSTALLED_APPS = ('a', 'django.contrib.staticfiles')",
        "A = ['django.contrib.staticfiles']\nINSTALLED_APPS = A + ['x']",
        "A = ['django.contrib.staticfiles']\nINSTALLED_APPS = [*A, 'x']",
        "INSTALLED_APPS = ['a']\nINSTALLED_APPS += ['django.contrib.staticfiles']",
        "INSTALLED_APPS = ['a']\nINSTALLED_APPS.append('django.contrib.staticfiles')",
        "INSTALLED_APPS = ['a']\nINSTALLED_APPS.extend(['django.contrib.staticfiles'])",
        "INSTALLED_APPS = collect() + ['django.contrib.staticfiles']",
        "from shop.apps import EVERY\nX = 'django.contrib.staticfiles'\nINSTALLED_APPS = EVERY",
    ],
)
def test_staticfiles_is_seen_in_every_spelling(tmp_path, apps):
    assert project(tmp_path, f"{apps}\nSTATIC_ROOT = 'st'\n").collects


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("STATIC_URL = '/static/'", "/static"),
        ("STATIC_URL = 'static/'", "static"),
        ("STATIC_URL = '/a/b/'", "/a/b"),
        ("STATIC_URL = 'https://cdn.example/static/'", ""),
        ("STATIC_URL = '/'", ""),
        ("STATIC_URL = read()", ""),
        ("", ""),
    ],
)
def test_static_url_is_a_path(tmp_path, line, url):
    assert project(tmp_path, f"{line}\n").static_url == url


@pytest.mark.parametrize(
    ("middleware", "does"),
    [
        ("['whitenoise.middleware.WhiteNoiseMiddleware']", True),
        ("['servestatic.middleware.ServeStaticMiddleware']", True),
        ("['django.middleware.common.CommonMiddleware']", False),
    ],
)
def test_whitenoise_serves_static_files_itself(tmp_path, middleware, does):
    assert project(tmp_path, f"MIDDLEWARE = {middleware}\n").serves_static_itself is does


def test_a_wrapped_entry_point_serves_static_files_itself(tmp_path):
    found = project(
        tmp_path, "", site1__wsgi="", **{"site1__wsgi.py": WSGI + "from dj_static import Cling\n"}
    )
    assert found.serves_static_itself


def test_settings_that_are_a_package_are_followed(tmp_path):
    files = {
        "manage.py": MANAGE.replace("site1.settings", "site1.settings.local"),
        "site1/settings/__init__.py": "",
        "site1/settings/local.py": "from .base import *\nSTATIC_URL = '/s/'\n",
        "site1/settings/base.py": f"{BASE}{APPS}STATIC_ROOT = BASE_DIR / 'st'\n",
        "site1/wsgi.py": WSGI,
    }
    (found,) = find_projects(tree(tmp_path, files))
    assert (found.settings, found.static_url) == ("site1.settings.local", "/s")
    assert found.static_root == "site1/st"
    assert found.wsgi.module == "site1.wsgi"


def test_the_settings_of_the_entry_point_are_those_that_serve(tmp_path):
    files = {
        "manage.py": MANAGE.replace("site1.settings", "config.settings.local"),
        "config/settings/local.py": "from .base import *\n",
        "config/settings/production.py": "from .base import *\nSTATIC_ROOT = 'st'\n",
        "config/settings/base.py": f"{APPS}WSGI_APPLICATION = 'config.wsgi.application'\n",
        "config/wsgi.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.production'\n"
        + WSGI,
    }
    (found,) = find_projects(tree(tmp_path, files))
    assert (found.settings, found.static_root) == ("config.settings.production", "st")


@pytest.mark.parametrize(
    "manage",
    [
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'site1.settings'",
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', os.environ.get('X', 'site1.settings'))",
        "name = config('DJANGO_SETTINGS_MODULE', default='site1.settings')",
        "x = os.getenv('DJANGO_SETTINGS_MODULE', 'site1.settings')",
    ],
)
def test_the_settings_module_in_every_spelling(tmp_path, manage):
    (found,) = find_projects(tree(tmp_path, {"manage.py": f"import os\n{manage}\n", "site1/settings.py": ""}))
    assert found.settings == "site1.settings"


def test_settings_that_cannot_be_told_are_empty(tmp_path):
    manage = "import os, x\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', f'site1.{x.y}')\n"
    (found,) = find_projects(tree(tmp_path, {"manage.py": manage, "site1/wsgi.py": WSGI}))
    assert (found.settings, found.collects) == ("", False)
    assert found.wsgi.module == "site1.wsgi"


def test_projects_in_folders_nearest_first(tmp_path):
    one = {"manage.py": MANAGE, "site1/settings.py": "", "site1/wsgi.py": WSGI}
    files = {f"{folder}{name}": text for folder in ("", "b/", "a/c/") for name, text in one.items()}
    found = find_projects(tree(tmp_path, files))
    assert [item.folder for item in found] == ["", "b", "a/c"]
    assert [item.wsgi.folder for item in found] == ["", "b", "a/c"]


@pytest.mark.parametrize(
    "path",
    ["a/b/c/manage.py", "venv/x/manage.py", "site-packages/manage.py", ".tox/manage.py", "tests/manage.py"],
)
def test_what_is_nobodys_project_is_passed_over(tmp_path, path):
    assert find_projects(tree(tmp_path, {path: MANAGE})) == ()


def test_a_manage_py_of_something_else_is_none(tmp_path):
    assert find_projects(tree(tmp_path, {"manage.py": "from flask_script import Manager\n"})) == ()


def test_broken_settings_are_an_error(tmp_path):
    with pytest.raises(PlanError) as caught:
        project(tmp_path, "INSTALLED_APPS = [\n")
    assert "site1/settings.py line 1" in caught.value.details


def test_settings_that_import_each_other_end(tmp_path):
    files = {"a.py": "from b import *\n", "b.py": "from a import *\nSTATIC_URL = '/s/'\n"}
    (found,) = find_projects(
        tree(tmp_path, files | {"manage.py": MANAGE.replace("site1.settings", "a"), "site1/wsgi.py": WSGI})
    )
    assert found.static_url == "/s"
