"""PHP's settings: read, translated, laid over one another; memory and uploads that follow from them."""

from pathlib import Path

import pytest

from stager.errors import ConfigurationError
from stager.model.memory import size_workers
from stager.plugins.php.ini import checked_name, parse_ini, plain_value, size_bytes
from stager.plugins.php.ini_files import Setting, read_ini_files
from stager.plugins.php.memory import limit_mib, worker_model
from stager.plugins.php.options import PhpOptions
from stager.plugins.php.uploads import upload_limits
from stager.source.tree import Tree

FIXTURE = Path(__file__).parents[3] / "fixtures/php_settings"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("64M", "64M"),
        ('"a;b"', "a;b"),
        ("'it is' ; a remark", "it is"),
        (r'"say \"yes\" \\"', 'say "yes" \\'),
        ("Off", "0"),
        ("yes", "1"),
        ("None", "0"),
        ("null", ""),
        ("", ""),
        (True, "1"),
        (False, "0"),
        (300, "300"),
        ("E_ALL & ~E_DEPRECATED & ~E_STRICT", "22527"),
        ("E_ALL ^ E_NOTICE", "32759"),
        ("E_ERROR | E_WARNING", "3"),
        ("E_ALL & ~(E_NOTICE|E_WARNING)", "32757"),
        ("~E_NOTICE", "-9"),
        ("/tmp;gone", "/tmp"),
    ],
)
def test_values_mean_what_php_makes_of_them(raw, plain):
    assert plain_value(raw) == plain


def test_an_ini_file_is_read_line_by_line():
    text = "; remark\n[section]\nmemory_limit = 64M\nMEMORY=1\nx = ${HOME}\nbad line\nmemory_limit = 32M\n"
    assert parse_ini(text) == {"memory_limit": "32M", "MEMORY": "1"}


@pytest.mark.parametrize(
    ("text", "size"), [("128M", 128 * MIB), ("1G", 1 << 30), ("512k", 512 << 10), ("-1", -1), (65536, 65536)]
)
def test_sizes_are_as_php_writes_them(text, size):
    assert size_bytes(text, "x") == size


@pytest.mark.parametrize("text", ["lots", "", "1.5G", "12 apples"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigurationError) as raised:
        size_bytes(text, "php.memory_limit")
    assert raised.value.brief == f"php.memory_limit: {text!r} is not a size."


@pytest.mark.parametrize("name", ["a b", "x=y", "1st", "a\nb", ""])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ConfigurationError):
        checked_name(name, "php.ini")


def settings(server="mod_php", root="public", **options):
    return read_ini_files(Tree.of_directory(FIXTURE), root, PhpOptions(**options), server)


def test_user_ini_is_the_strongest_then_the_own_files_then_the_settings(tmp_path):
    def limit(**files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        folder.mkdir(exist_ok=True)
        options = PhpOptions(memory_limit="200M", ini={"memory_limit": "100M"})
        found = read_ini_files(Tree.of_directory(folder), "web", options, "mod_php")
        return found.in_force["memory_limit"]

    own = {".stager/php/a.ini": "memory_limit=50M", ".stager/php/b.ini": "memory_limit=51M"}
    assert limit() == Setting("100M", "php.ini.memory_limit")
    assert limit(**own) == Setting("51M", ".stager/php/b.ini, memory_limit")
    assert limit(**own, **{".user.ini": "memory_limit=20M"}).value == "20M"
    both = {".user.ini": "memory_limit=20M", "web/.user.ini": "memory_limit=10M"}
    assert limit(**own, **both) == Setting("10M", "web/.user.ini, memory_limit")
    assert limit(**both, **{"web/.htaccess": "php_value memory_limit 9M"}).value == "9M"


def test_the_default_is_128m(tmp_path):
    found = read_ini_files(Tree.of_directory(tmp_path), "", PhpOptions(), "fpm")
    assert found.in_force == {"memory_limit": Setting("128M", "php.memory_limit")}


def test_user_ini_is_translated_for_the_server_that_would_not_read_it():
    root = ("app", (("date.timezone", "Europe/Paris"),))
    assert settings("mod_php").translated == (root, ("app/public", (("upload_max_filesize", "20M"),)))
    assert settings("fpm").translated == (root,)


def test_an_option_that_no_line_can_hold_is_refused():
    with pytest.raises(ConfigurationError) as raised:
        settings(ini={"sendmail_from": "a\nb"})
    assert raised.value.brief == "php.ini.sendmail_from: the value has a control character."


@pytest.mark.parametrize(("value", "mib"), [("128M", 128), ("1G", 1024), ("-1", 0), ("0", 0), ("3000K", 2)])
def test_the_limit_is_in_mib(value, mib):
    assert limit_mib({"memory_limit": Setting(value, "x")}) == mib


def test_a_limit_without_its_unit_is_an_error_that_guesses_it():
    with pytest.raises(ConfigurationError) as raised:
        limit_mib({"memory_limit": Setting("256", "php.memory_limit")})
    assert raised.value.brief == "php.memory_limit: 256 is too little for any PHP script."
    assert raised.value.resolution == "Did you mean 256M?"


def heroku(limit, budget, cores):
    """Our model without what Heroku does not count: the parent, the overhead, OPcache."""
    from dataclasses import replace

    model = worker_model("mod_php", limit, {"opcache.enable": Setting("0", "x")})
    return size_workers(replace(model, base_mib=0, overhead_mib=0), budget, cores * 100).workers


@pytest.mark.parametrize(
    ("limit", "budget", "cores", "workers"),
    [
        (128, 512, 2, 4), (128, 1024, 2, 8), (128, 1024, 1, 6), (128, 2560, 1, 10), (128, 2560, 16, 20),
        (128, 14336, 8, 112), (32, 512, 2, 16), (16, 512, 2, 32), (24, 512, 2, 21), (1024, 512, 2, 1),
        (0, 512, 2, 1), (24, 2560, 1, 53),
        (128, 128, 1, 1), (128, 256, 8, 2), (128, 2048, 1, 8), (128, 2048, 2, 16), (128, 8192, 1, 12),
        (128, 8192, 2, 24), (128, 8192, 8, 64), (128, 14336, 1, 14), (128, 14336, 2, 28),
    ],
)  # fmt: skip
def test_without_what_is_taken_besides_the_counts_are_herokus(limit, budget, cores, workers):
    assert heroku(limit, budget, cores) == workers


@pytest.mark.parametrize("server", ["mod_php", "fpm"])
@pytest.mark.parametrize("limit", [0, 16, 64, 128, 512])
@pytest.mark.parametrize("budget", [96, 128, 200, 256, 512, 1024, 4096, 16384])
def test_the_promise_fits_the_budget(server, limit, budget):
    sizing = size_workers(worker_model(server, limit, {}), budget, 400)
    assert sizing.workers >= 1
    assert sizing.promised_mib <= budget
    assert server == "mod_php" or sizing.workers <= 120


def test_unlimited_is_one_worker_with_all_that_is_left():
    sizing = size_workers(worker_model("mod_php", 0, {}), 512, 800)
    assert (sizing.workers, sizing.worker_mib) == (1, 512 - 32 - 64 - 4)


@pytest.mark.parametrize(
    ("in_force", "shares"),
    [
        ({}, (("STAGER_OPCACHE_MIB", 64),)),
        ({"opcache.memory_consumption": "96"}, (("STAGER_OPCACHE_MIB", 96),)),
        ({"opcache.enable": "0"}, ()),
    ],
)
def test_opcache_is_a_share_of_the_budget(in_force, shares):
    found = {name: Setting(value, "x") for name, value in in_force.items()}
    assert size_workers(worker_model("mod_php", 128, found), 512, 200).shares == shares


@pytest.mark.parametrize(
    ("asked", "upload", "post", "body"),
    [
        ({}, 16 * MIB, 20 * MIB, None),
        ({"upload_max_filesize": "50M"}, 50 * MIB, 54 * MIB, None),
        ({"post_max_size": "8M"}, 8 * MIB, 8 * MIB, None),
        ({"upload_max_filesize": "2G"}, 2 << 30, (2 << 30) + 4 * MIB, (2 << 30) + 4 * MIB),
        ({"post_max_size": "0"}, 1 << 30, 0, 0),
        ({"upload_max_filesize": "5M", "post_max_size": "6M"}, 5 * MIB, 6 * MIB, None),
    ],
)
def test_where_one_limit_was_set_the_others_follow(asked, upload, post, body):
    found = upload_limits({name: Setting(value, "x") for name, value in asked.items()})
    assert (found.upload, found.post, found.body, found.warnings) == (upload, post, body, ())


def test_limits_that_contradict_each_other_are_warned_of():
    asked = {
        "upload_max_filesize": Setting("9M", "x"),
        "post_max_size": Setting("8M", ".user.ini, post_max_size"),
    }
    (warning,) = upload_limits(asked).warnings
    assert warning.startswith(".user.ini, post_max_size (8M) is less than upload_max_filesize (9M)")
