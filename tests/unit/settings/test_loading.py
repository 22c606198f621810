"""Where settings come from, who wins, and what is merged."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from stager.errors import ConfigurationError, PluginBroken, SourceUnreadable
from stager.model.plan import Health, Limits, Shell
from stager.settings import Hooks, load_settings
from stager.source.ignoring import ignoring_for
from stager.source.tree import Tree

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    document_root: str | None = None
    server: Literal["mod_php", "fpm"] | None = None
    ini: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()


class Files:
    """A root of files in memory."""

    def __init__(self, files):
        self._files = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}

    def children(self, path=""):
        return tuple(sorted(self._files))

    def is_file(self, path):
        return self._files.get(path) is not None

    def read_bytes(self, path, *, limit=8 << 20):
        return self._files[path][:limit]


def load(files=(), **others):
    others.setdefault("options_by_runtime", {"php": Options})
    return load_settings(Files(dict(files)), **others)


def settings_of(yml="", **others):
    return load({"stager.yml": yml}, **others)[0]


def test_nothing_gives_the_defaults_and_no_warning():
    settings, warnings = load()
    assert warnings == ()
    assert settings.runtimes == ()
    assert settings.limits == Limits()
    assert settings.health == Health()
    assert settings.hooks == Hooks()
    assert settings.grace == 10.0
    assert settings.options == {"php": Options()}
    assert dict(settings.origins) == {}


def test_a_whole_file_is_read():
    settings = settings_of(
        """\
runtime: [node, php]
memory: 256M
disk: 2G
fds: 4096
processes:
  web: php -S "0.0.0.0:$PORT"
  worker: [php, worker.php, 5]
env: {APP_ENV: production}
build_env: {TOKEN: s3cret}
ignore: [docs/, "*.psd"]
health: {path: /healthz, timeout: 2m}
hooks: {before_build: npm run build}
grace: 500ms
php: {document_root: public, server: fpm, ini: {date.timezone: UTC}, extensions: [intl]}
"""
    )
    assert settings.runtimes == ("node", "php")
    assert settings.limits == Limits(256 * MIB, 2048 * MIB, 4096)
    assert settings.processes == {
        "web": Shell('php -S "0.0.0.0:$PORT"'),
        "worker": ("php", "worker.php", "5"),
    }
    assert settings.environment == {"APP_ENV": "production"}
    assert settings.build_environment == {"TOKEN": "s3cret"}
    assert settings.ignore == ("docs/", "*.psd")
    assert settings.health == Health("/healthz", 120.0)
    assert settings.hooks == Hooks(before_build="npm run build")
    assert settings.grace == 0.5
    assert settings.options_for("php") == Options("public", "fpm", {"date.timezone": "UTC"}, ("intl",))


def test_flags_win_over_environment_over_file_over_procfile():
    files = {
        "Procfile": "web: from procfile\nworker: from procfile\nclock: from procfile\n",
        "stager.yml": "memory: 1G\ndisk: 2G\nfds: 100\nprocesses: {web: from file, worker: from file}\n",
    }
    settings, _ = load(
        files,
        environment={"STAGER_MEMORY": "3G", "STAGER_DISK": "4G"},
        flags={"memory": "5G", "processes.web": "from flag"},
    )
    assert settings.limits == Limits(5 << 30, 4 << 30, 100)
    assert settings.processes == {
        "web": Shell("from flag"),
        "worker": Shell("from file"),
        "clock": Shell("from procfile"),
    }
    assert settings.origins == {
        "processes.web": "--set processes.web",
        "processes.worker": "stager.yml line 4",
        "processes.clock": "Procfile line 3",
        "memory": "--memory",
        "disk": "environment STAGER_DISK",
        "fds": "stager.yml line 3",
    }


def test_mappings_merge_by_name_and_lists_are_replaced():
    settings = settings_of(
        "env: {A: file, B: file}\nignore: [docs/]\n"
        "php: {document_root: web, extensions: [gd, intl], ini: {a: 1, b: 1}}\n",
        flags={"env.B": "flag", "ignore": ("tmp/",), "php.extensions": "redis", "php.ini.b": "2"},
    )
    assert settings.environment == {"A": "file", "B": "flag"}
    assert settings.ignore == ("tmp/",)
    assert settings.options_for("php") == Options("web", None, {"a": "1", "b": "2"}, ("redis",))


@pytest.mark.parametrize(
    "section", ["processes", "env", "build_env", "ignore", "health", "hooks", "php", "runtime"]
)
def test_a_section_that_was_commented_out_is_empty(section):
    settings, _ = load({"stager.yml": f"{section}:\n", "Procfile": "web: serve\n"}, flags={"env.A": "1"})
    assert settings.processes == {"web": Shell("serve")}
    assert settings.environment == {"A": "1"}
    assert set(settings.origins) == {"processes.web", "env.A"}


def test_a_mistake_in_the_file_is_not_hidden_by_a_flag():
    with pytest.raises(ConfigurationError) as caught:
        settings_of("memory: lots\n", flags={"memory": "1G"})
    assert caught.value.brief == "stager.yml line 1: 'memory' has to be a size in bytes, not the text 'lots'."


def test_config_is_read_instead_of_the_file(tmp_path):
    config = tmp_path / "other.yml"
    config.write_text("memory: 1G\nfds: none\n")
    with pytest.raises(ConfigurationError) as caught:
        load({"stager.yml": "no: such\n"}, config=config)
    assert caught.value.brief == f"{config} line 2: 'fds' has to be a whole number, not the text 'none'."


def test_config_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "missing.yml", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            load(config=path)
        assert caught.value.brief == f"--config {path}: it cannot be read."
        assert caught.value.fault == "usage"
        assert caught.value.exit_code == 10
        assert caught.value.details in {"No such file or directory", "Is a directory"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("stager.yaml", "stager.yml"),
        ("Stager.yml", "stager.yml"),
        (".stager.yml", "stager.yml"),
        ("procfile", "Procfile"),
        ("ProcFile", "Procfile"),
    ],
)
def test_a_file_of_nearly_the_right_name_is_a_warning(name, meant):
    settings, warnings = load({name: "memory: 1G\n"})
    assert warnings == (f"{name} is not read; rename it to {meant}.",)
    assert settings.limits == Limits()


@pytest.mark.parametrize("name", ["stager.yml", "Procfile"])
def test_settings_that_are_no_regular_file_are_an_error(name):
    with pytest.raises(ConfigurationError, match=f"{name} is not a regular file"):
        load({name: None})


@pytest.mark.parametrize("name", ["stager.yml", "Procfile"])
def test_settings_over_a_mebibyte_are_an_error(name):
    assert load({name: "#" * (1 << 20)})[1] == ()
    with pytest.raises(ConfigurationError, match=f"{name} is larger than 1 MiB"):
        load({name: "#" * ((1 << 20) + 1)})


@pytest.mark.parametrize("name", ["stager.yml", "Procfile"])
@pytest.mark.parametrize(("start", "offset"), [(b"# x\n# ", 6), (b"\xef\xbb\xbf# x\n# ", 9)])
def test_a_byte_that_is_not_utf_8_is_found(name, start, offset):
    with pytest.raises(ConfigurationError) as caught:
        load({name: start + b"\xe9\n"})
    assert caught.value.brief == f"{name} line 2: not UTF-8 at byte offset {offset}."
    assert "0xe9" in caught.value.details


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    settings, _ = load(
        {"stager.yml": b"\xef\xbb\xbfmemory: 1G\r\n", "Procfile": b"\xef\xbb\xbfweb: serve\r\n"}
    )
    assert settings.limits.memory == 1 << 30
    assert settings.processes == {"web": Shell("serve")}


def test_values_of_the_environments_are_in_no_repr_and_no_error():
    settings = settings_of("env: {A: hush-1}\nbuild_env: {B: hush-2}\n")
    assert "hush" not in repr(settings)
    for wrong in (
        "build_env: hush",
        "build_env: {A: [hush]}",
        "env: {A: {hush: 1}}",
        'build_env: {A: "hush\\0"}',
    ):
        with pytest.raises(ConfigurationError) as caught:
            settings_of(wrong)
        assert "hush" not in str(caught.value)
    for flags in (
        {"build_env.A-B": "hush"},
        {"env.PORT": "hush"},
        {"build_env": "hush"},
        {"env.A.B": "hush"},
    ):
        with pytest.raises(ConfigurationError) as caught:
            load(flags=flags)
        assert "hush" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        settings_of("build_env: {A: hush}\nbuild_env: {A: hush, B: [}\n")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "name", ["PORT", "HOME", "TMPDIR", "MEMORY_LIMIT", "VCAP_SERVICES", "VCAP_APP_PORT", "STAGER_ROOT", "UID"]
)
def test_what_startup_sets_cannot_be_set(name):
    with pytest.raises(ConfigurationError) as caught:
        settings_of(f"env:\n  {name}: x\n")
    assert caught.value.brief == f"stager.yml line 2: 'env.{name}' is not for you to set."
    assert "when the droplet is started" in caught.value.resolution
    assert settings_of(f"build_env:\n  {name}: x\n").build_environment == {name: "x"}


def test_names_that_bash_keeps_for_itself_are_those_that_cannot_be_set():
    tried = [
        "UID",
        "EUID",
        "PPID",
        "BASHOPTS",
        "SHELLOPTS",
        "GROUPS",
        "RANDOM",
        "SECONDS",
        "LINENO",
        "BASHPID",
    ]
    for name in [*tried, "WEB_CONCURRENCY", "ENV", "PATH_INFO", "GROUP"]:
        shown = subprocess.run(
            ["/bin/bash", "-c", f"export {name}=x; echo ${name}"], capture_output=True, text=True, check=False
        )
        if shown.stdout == "x\n":
            assert settings_of(f"env: {{{name}: x}}").environment == {name: "x"}
        else:
            with pytest.raises(ConfigurationError, match="not for you to set"):
                settings_of(f"env: {{{name}: x}}")


def test_another_name_of_a_runtime_means_the_runtime():
    given = {"options_by_runtime": {"php": Options, "p": Options}, "aliases": {"p": "php"}}
    settings = settings_of(
        "runtime: [p, php]\np: {document_root: web}\n",
        environment={"STAGER_P_SERVER": "fpm"},
        flags={"p.extensions": "gd"},
        **given,
    )
    assert settings.runtimes == ("php",)
    assert settings.options == {"php": Options("web", "fpm", {}, ("gd",))}
    assert settings.origins["php.document_root"] == "stager.yml line 2"
    with pytest.raises(ConfigurationError) as caught:
        settings_of("php: {}\np: {}\n", **given)
    assert caught.value.brief == "stager.yml line 2: 'p' and 'php' are the same section."


def test_names_that_share_a_dataclass_are_one_runtime_unless_aliases_are_given():
    shared = {"php": Options, "p": Options}
    assert settings_of("p: {document_root: web}", options_by_runtime=shared).options == {
        "php": Options("web")
    }
    apart = settings_of("p: {document_root: web}", options_by_runtime=shared, aliases={})
    assert apart.options == {"php": Options(), "p": Options("web")}


@dataclass(frozen=True)
class Demanding:
    name: str
    least: int = 1
    most: int = 2

    def __post_init__(self):
        if self.least > self.most:
            raise ValueError("least is larger than most")


def test_an_option_without_default_is_missed_only_where_the_runtime_is_used():
    installed = {"php": Options, "demanding": Demanding}
    settings = settings_of(options_by_runtime=installed)
    assert settings.options == {"php": Options()}
    with pytest.raises(ConfigurationError, match=r"'demanding\.name' is missing"):
        settings.options_for("demanding")
    with pytest.raises(ConfigurationError, match=r"stager.yml line 1: 'demanding\.name' is missing"):
        settings_of("demanding: {least: 0}", options_by_runtime=installed)


def test_options_are_judged_together_when_all_sources_are_merged():
    installed = {"demanding": Demanding}
    settings = settings_of(
        "demanding: {least: 5}",
        options_by_runtime=installed,
        flags={"demanding.name": "x", "demanding.most": "9"},
    )
    assert settings.options_for("demanding") == Demanding("x", 5, 9)
    with pytest.raises(ConfigurationError, match="'demanding': least is larger than most"):
        settings_of("demanding: {name: x, least: 5}", options_by_runtime=installed)


@dataclass(frozen=True)
class Holding:
    demanding: Demanding | None = None


def test_a_section_within_options_may_be_put_together_from_several_sources():
    settings = settings_of(
        "holding: {demanding: {least: 5}}",
        options_by_runtime={"holding": Holding},
        environment={"STAGER_HOLDING_DEMANDING_MOST": "7"},
        flags={"holding.demanding.name": "x"},
    )
    assert settings.options_for("holding") == Holding(Demanding("x", 5, 7))


@dataclass(frozen=True)
class Impossible:
    value: complex = 1j


@dataclass(frozen=True)
class Raising:
    value: int = 1

    def __post_init__(self):
        raise RuntimeError("a bug")


@pytest.mark.parametrize("broken", [Impossible, Raising, dict, Options()])
def test_a_broken_runtime_ends_only_what_uses_it(broken):
    installed = {"php": Options, "broken": broken}
    settings = settings_of("php: {server: fpm}", options_by_runtime=installed)
    assert settings.options_for("php").server == "fpm"
    with pytest.raises(PluginBroken):
        settings.options_for("broken")
    with pytest.raises(PluginBroken):
        settings_of("broken: {value: 1}", options_by_runtime=installed)


def test_a_runtime_cannot_take_a_key_of_the_core():
    settings = settings_of("memory: 1G", options_by_runtime={"memory": Options})
    assert settings.limits.memory == 1 << 30


def test_settings_are_read_from_a_real_tree(tmp_path):
    (tmp_path / "stager.yml").write_text("memory: 1G\n")
    (tmp_path / "Procfile").symlink_to("processes.txt")
    (tmp_path / "processes.txt").write_text("web: serve\n")
    tree = Tree.of_directory(tmp_path, "app", ignoring=ignoring_for(str(tmp_path)))
    settings, warnings = load_settings(tree, options_by_runtime={})
    assert (settings.limits.memory, settings.processes, warnings) == (1 << 30, {"web": Shell("serve")}, ())


def test_a_file_that_cannot_be_read_is_the_source_s_error():
    class Unreadable(Files):
        def read_bytes(self, path, *, limit=0):
            raise SourceUnreadable(f"{path} cannot be read.")

    with pytest.raises(SourceUnreadable):
        load_settings(Unreadable({"stager.yml": ""}), options_by_runtime={})


def test_importing_the_settings_imports_no_yaml():
    program = "import sys, stager.settings; sys.exit('yaml' in sys.modules or 'difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=Path("/")).returncode == 0
