"""What each package manager is told: the same five things, in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from stager.model.frozen import dataclass
from stager.plugins.node.packages.managers import PackageManager

#: Where package managers are put that the host does not have.
MANAGERS = "../build/managers"
_PROGRAMS = f"{MANAGERS}/node_modules/.bin"

#: For every step and hook. A user's own CI or npm_config_… wins.
STEP_ENVIRONMENT: Mapping[str, str] = {
    "CI": "true",
    # With CI set, many believe that colours can be shown.
    "NO_COLOR": "1",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
    "npm_config_progress": "false",
    "NEXT_TELEMETRY_DISABLED": "1",
    "NUXT_TELEMETRY_DISABLED": "1",
    "ASTRO_TELEMETRY_DISABLED": "1",
    "DISABLE_OPENCOLLECTIVE": "1",
    "ADBLOCK": "1",
    "HUSKY": "0",
}
#: The settings of the host's administrator are not the application's: an /etc/npmrc that another host does
#: not have makes another droplet. Retries: npm's own (10 s, then 20 s …) let a host without a network wait
#: for 70 s.
_NPM: Mapping[str, str] = {
    "npm_config_cache": "{cache}/npm",
    "npm_config_globalconfig": "/dev/null",
    "npm_config_prefer_offline": "true",
    "npm_config_fetch_retries": "2",
    "npm_config_fetch_retry_mintimeout": "1000",
    "npm_config_fetch_retry_maxtimeout": "5000",
}
#: With --offline. What reads no setting of that kind meets a proxy that nobody runs (port 9, discard).
OFFLINE: Mapping[str, str] = {
    "npm_config_offline": "true",
    "pnpm_config_offline": "true",
    "YARN_ENABLE_NETWORK": "false",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    "NO_PROXY": "",
    "no_proxy": "",
}


@dataclass(frozen=True, slots=True)
class Commands:
    """A package manager's own words; each is an argv without the program.

    Parameters
    ----------
    program:
        A host tool, or a program that an earlier step has made.
    first:
        What comes before every other argument.
    install, install_production:
        Everything, or what is needed at run time alone; from the lock where there is one.
    prune:
        Removes what only the build needed; empty where that manager cannot.
    rebuild:
        Compiles native code anew.
    environment:
        For each of them.
    everywhere:
        What runs a script, whose name comes after it, in every package that has one; its own program, where
        that is another one, comes first.
    installs_to_prune:
        ``prune`` is an installation into an empty folder.
    """

    program: str
    install: tuple[str, ...]
    install_production: tuple[str, ...]
    prune: tuple[str, ...]
    rebuild: tuple[str, ...] = ("rebuild",)
    first: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    everywhere: tuple[str, ...] = ()
    installs_to_prune: bool = False

    def run(self, script: str) -> tuple[str, ...]:
        """Run a script of package.json."""
        return (*self.first, "run", script)


def npm_environment(settings: str = "") -> dict[str, str]:
    """Return what npm is told by its environment.

    ``settings`` is the application's .npmrc, where npm would not read it by itself.
    """
    return {**_NPM, **({"npm_config_userconfig": settings} if settings else {})}


def compiler_environment(headers: str) -> dict[str, str]:
    """Return what node-gyp and the compiler are told.

    ``headers`` is the prefix below which the headers of Node lie, which node-gyp would fetch otherwise; empty
    where they are not there. Its older versions read the first variable, of which npm 11 says that it does
    not know it; later ones the second.
    """
    names = ("npm_config_nodedir", "npm_package_config_node_gyp_nodedir") if headers else ()
    # What is compiled must not hold the path of the folder in which it was.
    return {**dict.fromkeys(names, headers), "CFLAGS": "-g0", "CXXFLAGS": "-g0"}


def commands_of(manager: PackageManager, npm: str, node: str) -> Commands:
    """Return what ``manager`` is told.

    ``npm`` and ``node`` are the programs: host tools, or what an earlier step has made.
    """
    environment = npm_environment()
    if manager.tool == "npm":
        program = f"{_PROGRAMS}/npm" if manager.distribution else npm
        return _npm(program, environment, manager)
    if manager.tool == "yarn":
        if manager.is_berry:
            return _yarn_berry(manager, environment, node)
        return _yarn(manager, environment, node)
    return (_pnpm if manager.tool == "pnpm" else _bun)(environment, is_locked=bool(manager.lock.path))


def _npm(program: str, environment: Mapping[str, str], manager: PackageManager) -> Commands:
    is_locked = bool(manager.lock.path)
    install = ("ci",) if is_locked else ("install", "--no-package-lock")
    if manager.has_gaps:
        install = ("install", "--no-save")
    lock = () if is_locked else ("--no-package-lock",)
    return Commands(
        program,
        (*install, "--include=dev"),
        (*install, "--omit=dev"),
        ("prune", "--omit=dev", "--ignore-scripts", *lock),
        environment=environment,
        everywhere=("run", "--workspaces", "--if-present"),
    )


def _yarn(manager: PackageManager, environment: Mapping[str, str], node: str) -> Commands:
    frozen = ("--frozen-lockfile",) if manager.lock.path else ("--no-lockfile",)
    always = ("install", *frozen, "--non-interactive", "--no-progress", "--prefer-offline")
    return Commands(
        node if manager.release else f"{_PROGRAMS}/yarn",
        (*always, "--production=false"),
        (*always, "--production=true"),
        # It has no prune of its own (`yarn prune` says so): an installation over what is there removes.
        (*always, "--production=true", "--ignore-scripts"),
        rebuild=(*always, "--production=false", "--force"),
        first=(manager.release,) if manager.release else (),
        environment={**environment, "YARN_CACHE_FOLDER": "{cache}/yarn"},
    )


def _yarn_berry(manager: PackageManager, environment: Mapping[str, str], node: str) -> Commands:
    has_focus = manager.major >= 4  # noqa: PLR2004  (a plugin before)
    focus = ("workspaces", "focus", "--all", "--production") if has_focus else ()
    install = ("install", "--immutable" if manager.lock.path else "--no-immutable")
    return Commands(
        node if manager.release else f"{_PROGRAMS}/yarn",
        install,
        install,
        focus,
        rebuild=(*install, "--inline-builds"),
        first=(manager.release,) if manager.release else (),
        environment={
            **environment,
            "YARN_GLOBAL_FOLDER": "{cache}/yarn-berry",
            "YARN_ENABLE_GLOBAL_CACHE": "true",
            "YARN_ENABLE_TELEMETRY": "false",
            "YARN_ENABLE_PROGRESS_BARS": "false",
            "YARN_ENABLE_HYPERLINKS": "false",
            # Plug'n'Play leaves packages in archives, below the cache: what is started would need its loader.
            "YARN_NODE_LINKER": "node-modules",
            "YARN_NM_MODE": "classic",
        },
        # Before yarn 4 it is a plugin; npm runs the scripts of workspaces just as well.
        everywhere=("workspaces", "foreach", "--all", "--topological-dev", "run") if has_focus else (),
    )


def _pnpm(environment: Mapping[str, str], *, is_locked: bool) -> Commands:
    frozen = "--frozen-lockfile" if is_locked else "--no-lockfile"
    settings = {
        "store_dir": "{cache}/pnpm",
        "cache_dir": "{cache}/pnpm-metadata",
        "state_dir": "{cache}/pnpm-state",
        # It would fetch the version that packageManager names, and that one is running.
        "manage_package_manager_versions": "false",
        "pm_on_fail": "ignore",
        "confirm_modules_purge": "false",
        "verify_deps_before_run": "false",
        # Its programs would hold the path of the folder in which they were installed; Node finds what that
        # variable names all the same, from where the program really lies.
        "extend_node_path": "false",
    }
    # pnpm 11 and later read their own variables alone.
    own = {f"{prefix}_config_{name}": value for name, value in settings.items() for prefix in ("npm", "pnpm")}
    return Commands(
        f"{_PROGRAMS}/pnpm",
        ("install", frozen, "--prod=false"),
        ("install", frozen, "--prod"),
        ("prune", "--prod", "--ignore-scripts"),
        environment={**environment, **own},
        everywhere=("--recursive", "--if-present", "run"),
    )


def _bun(environment: Mapping[str, str], *, is_locked: bool) -> Commands:
    frozen = "--frozen-lockfile" if is_locked else "--no-save"
    return Commands(
        f"{_PROGRAMS}/bun",
        ("install", frozen, "--no-progress"),
        ("install", frozen, "--no-progress", "--production"),
        ("install", frozen, "--no-progress", "--production", "--ignore-scripts"),
        rebuild=("install", frozen, "--no-progress", "--force"),
        environment={**environment, "BUN_INSTALL_CACHE_DIR": "{cache}/bun", "DO_NOT_TRACK": "1"},
        everywhere=("run", "--filter", "*"),
        installs_to_prune=True,
    )
