"""What package managers and builds say when they fail for a known reason, and what the user is told then."""

from __future__ import annotations

from stager.model.plan import KnownFailure

#: npm 10 and earlier wrote `npm ERR!`, later ones `npm error`.
_NPM = r"npm (?:ERR!|error)"
#: A package's name, with its scope, as it stands in an address too.
_NAME = r"(?P<name>(?:@[\w.~-]+(?:/|%2[fF]))?[\w.~-]+)"
_COMPILER = "Install what compiling needs: apt-get install -y --no-install-recommends python3 make g++"


def _known(brief: str, resolution: str, *patterns: str, is_offline: bool = False) -> tuple[KnownFailure, ...]:
    """One failure in the words of several tools."""
    return tuple(KnownFailure(pattern, brief, resolution, is_offline) for pattern in patterns)


_OFFLINE = _known(
    "Offline, and not everything that is to be installed is in the cache.",
    "Build it once without --offline and with the same --cache-dir; then everything is there. A "
    "dependency from "
    "git is fetched by every build: take one from the registry, or a tarball in the application.",
    r"ENOTCACHED|ERR_PNPM_NO_OFFLINE_\w+|Network access (?:has|have) been disabled|YN0080|in our cache"
    r"|127\.0\.0\.1:9\b|127\.0\.0\.1 port 9\b|ECONNREFUSED|ConnectionRefused|Could not resolve host"
    r"|enableNetwork|is set to false|ERR_PNPM_\w*OFFLINE\w*",
    is_offline=True,
)
_GIT = (
    *_known(
        "A package comes from git, and this host has no git.",
        "Install it: apt-get install -y --no-install-recommends git",
        r"spawn git ENOENT|git: (?:command )?not found|No git binary|[Ee]xecutable not found[^\n]*git",
    ),
    *_known(
        "A package comes from a private repository, and the build has no access to it.",
        "Builds have nobody's keys. Publish the package in a registry, or let the lock file name an "
        "address with "
        "https:// that this host may read.",
        r"Permission denied \(publickey|Host key verification failed|could not read Username for"
        r"|terminal prompts disabled",
    ),
    *_known(
        "A package comes from {name}, which this host cannot reach.",
        "Let the build's host reach it, or take the package from the registry.",
        r"unable to access '(?P<name>[^']+)'[^\n]*(?:Could not resolve host|Failed to connect|refused)",
        r"git ls-remote failed[\s\S]*?(?P<name>https?:/[^']*)': Could not resolve host",
    ),
    *_known(
        "yarn refuses to fetch {name}: .yarnrc.yml does not allow it.",
        "Name it under approvedGitRepositories in .yarnrc.yml.",
        r"YN0080: [^\n]*Request to '(?P<name>[^']+)' has been blocked because it doesn't match",
    ),
)
_ACCESS = (
    *_known(
        "The registry wants to know who asks: it answered 401.",
        "Put the token's variable into .npmrc (//registry.example.com/:_authToken=${{NPM_TOKEN}}), "
        "and give it with "
        "--build-env NPM_TOKEN=…; it does not reach the droplet.",
        rf"{_NPM} (?:code E401|401 )|ERR_PNPM_FETCH_401|Response Code: 401|YN0041|\b401 Unauthorized"
        r"|Request failed \"401|GET \S+ - 401",
    ),
    *_known(
        "The registry refuses to hand out a package: it answered 403.",
        "Has the token (--build-env NPM_TOKEN=…) the right to read it, and is that version allowed there?",
        rf"{_NPM} (?:code E403|403 )|ERR_PNPM_FETCH_403|Response Code: 403"
        r"|Request failed \"403|GET \S+ - 403",
    ),
)
_PACKAGES = (
    *_known(
        "There is no package {name} in the registry, or it may not be seen ({where}).",
        "Is the name right? A private package needs its registry and a token in .npmrc "
        "(@scope:registry=https://…), and --build-env NPM_TOKEN=…",
        rf"{_NPM} 404 +Not Found - GET https?://[^/\s]+/(?:[\w./-]+/)?{_NAME}(?: - [^\n]*)?\n",
        rf"{_NPM} 404 +'{_NAME}@[^\n]* is not in",
        rf"ERR_PNPM_FETCH_404[\s\S]*?GET https?://[^/\s]+/{_NAME}: Not Found",
        r"Couldn't find package \"(?P<name>[^\"@]+)[^\n]* on the",
        rf"YN0035: │ {_NAME}@\S+: Package not found",
        rf"GET https?://[^/\s]+/{_NAME} - 404",
    ),
    *_known(
        "The registry has no {name} {version} ({where}).",
        "Ask for a version that is there (npm view {name} versions), and bring the lock file up to "
        "date. One that "
        "was published a minute ago may not have reached every mirror.",
        rf"No matching version found for\s+(?:│\s+)?{_NAME}@(?P<version>[^\n]+?)(?:\.\n| while|\n|$)",
        r"Couldn't find any versions for \"(?P<name>[^\"]+)\" that matches \"(?P<version>[^\"]+)\"",
        rf"YN0082: │ {_NAME}@npm:(?P<version>[^\n]+): No candidates found",
        r"No version matching \"(?P<version>[^\"]+)\" found for specifier \"(?P<name>[^\"]+)\"",
    ),
    *_known(
        "A package is not the one that the lock file describes: its checksum differs.",
        "Never install it unseen. Was the lock made with another registry? Then make it anew with "
        "this one. With "
        "a damaged cache another --cache-dir helps.",
        r"EINTEGRITY|ERR_PNPM_TARBALL_INTEGRITY|YN0018|Integrity check failed|IntegrityCheckFailed"
        r"|computed integrity doesn't match|ERR_PNPM_CAFS_\w*INTEGRITY\w*",
    ),
)
_NETWORK = (
    *_known(
        "The registry's certificate is not trusted here ({name}).",
        "Does a proxy of your organisation answer for it? Name the file with its certificate in "
        "NODE_EXTRA_CA_CERTS when you call stager, or as cafile= in the application's .npmrc.",
        r"(?P<name>SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE"
        r"|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_HAS_EXPIRED|self.signed certificate in certificate chain)",
    ),
    *_known(
        "The registry cannot be reached ({name}).",
        "Does this host have a network, or a proxy (HTTPS_PROXY)? Without one: build once where "
        "there is, with "
        "--cache-dir, and then here with --offline.",
        r"\b(?P<name>ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH"
        r"|ERR_SOCKET_TIMEOUT|ConnectionRefused|FailedToOpenSocket|ERR_PNPM_META_FETCH_FAIL)\b",
    ),
)
_LOCK = (
    *_known(
        "package-lock.json is not up to date with package.json: {name}",
        "Bring it up to date, and add it to the application: npm install --package-lock-only",
        rf"{_NPM} (?P<name>(?:Missing|Invalid): [^\n]+)",
    ),
    *_known(
        "The lock file is not up to date with package.json, or another version of the manager has made it.",
        "Bring it up to date with the version that is used here, and add it to the application.",
        rf"{_NPM} code EUSAGE|ERR_PNPM_(?:OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|NO_LOCKFILE"
        r"|BROKEN_LOCKFILE"
        r"|LOCKFILE_BREAKING_CHANGE|FROZEN_LOCKFILE_WITH_OUTDATED_LOCKFILE)|YN0028"
        r"|[Ll]ockfile needs to be updated|lockfile had changes, but lockfile is frozen",
    ),
    *_known(
        "Packages ask for versions of each other that cannot be had together: {version} is there, and {name}",
        "Ask for versions that fit; or put legacy-peer-deps=true into .npmrc, as npm 6 did.",
        rf"{_NPM} Found: (?P<version>[^\n]+)[\s\S]*?{_NPM} Could not resolve dependency:[\s\S]*?"
        rf"{_NPM} +(?P<name>peer \S+ from \S+)",
    ),
    *_known(
        "Packages ask for versions of each other that cannot be had together.",
        "Ask for versions that fit; or put legacy-peer-deps=true into .npmrc, as npm 6 did.",
        rf"{_NPM} code ERESOLVE",
    ),
    *_known(
        "A package refuses this version of Node: {name}",
        "Ask for a Node that it accepts (engines.node in package.json), or take another version of "
        "the package.",
        rf"{_NPM} notsup (?P<name>Not compatible[^\n]+)",
        r"error (?P<name>\S+: The engine \"node\" is incompatible[^\n]*)",
        r"ERR_PNPM_UNSUPPORTED_ENGINE\s+(?P<name>[^\n]*)",
    ),
)
_NATIVE = (
    *_known(
        "A package has to be compiled, and this host has no Python for node-gyp.",
        _COMPILER,
        r"gyp ERR! find Python|Could not find any Python installation",
    ),
    *_known(
        "A package has to be compiled, and this host has no compiler.",
        _COMPILER,
        r"gyp ERR! [^\n]*not found: make|\b(?:make|g\+\+|gcc|cc|c\+\+): (?:command )?not found"
        r"|spawn make ENOENT"
        r"|make(?:\[\d+\])?: (?:g\+\+|gcc|cc|c\+\+): No such file",
    ),
    *_known(
        "A package has to be compiled, and the header {name} is not on this host.",
        "Install the Debian package that has it: apt-file search {name}",
        r"fatal error: (?P<name>[\w./+-]+\.h(?:pp)?): No such file",
    ),
    *_known(
        "A package has to be compiled, and node-gyp could not fetch the headers of Node.",
        "Install them here (the package nodejs of nodesource.com has them, Debian's are in "
        "libnode-dev), or let this "
        "host reach nodejs.org.",
        r"gyp (?:ERR!|http)[^\n]*nodejs\.org[\s\S]*gyp ERR!",
    ),
    *_known(
        "A package has to be compiled, and yarn does not find node-gyp, which does it.",
        "That package does not say that it needs it. Say it for it: yarn add --dev node-gyp",
        r"Couldn't find a script name \"node-gyp\"",
    ),
    *_known(
        "A package has to be compiled, and that failed: {name}",
        "Is that version of it made for this version of Node? A later one may be, or one that brings "
        "what is compiled.",
        r"(?m)^(?:npm (?:ERR!|error) )?(?P<name>\S+:\d+:(?:\d+:)? (?:fatal )?error: [^\n]+)",
        r"gyp ERR! stack (?P<name>Error: [^\n]+)",
        r"(?P<name>gyp ERR! [^\n]+)",
    ),
)
_SCRIPTS = (
    *_known(
        "pnpm does not run the scripts of {name} unasked, and this version fails because of it.",
        "Say which may run, and add what it writes to the application: pnpm approve-builds",
        r"(?:ERR_PNPM_IGNORED_BUILDS\s+|╰─▶ )Ignored build scripts: (?P<name>[^\n]+)",
    ),
    *_known(
        "A script of the package {name} failed.",
        "What it printed is above. Does it need a program or a library that this host does not have?",
        rf"{_NPM} path \S*node_modules/{_NAME}\n{_NPM} command failed",
        rf"YN0009: │ {_NAME}@npm\S+ couldn't be built",
        r"node_modules/\.pnpm/\S*node_modules/(?P<name>\S+) (?:pre|post)?install: Failed",
        r"(?:pre|post)?install script from \"(?P<name>[^\"]+)\" exited with",
    ),
    *_known(
        "A script of package.json failed: {name}",
        "Run the same in the application's folder, and mend what it says.",
        rf"{_NPM} command failed\n{_NPM} command sh -c (?P<name>[^\n]+)",
    ),
)
_HEAP = _known(
    "It ran out of memory: the heap of Node reached its limit.",
    "Give it more, in MiB: build_env: {{NODE_OPTIONS: --max-old-space-size=4096}} in stager.yml, or "
    "--build-env NODE_OPTIONS=--max-old-space-size=4096",
    r"JavaScript heap out of memory|Reached heap limit|ERR_WORKER_OUT_OF_MEMORY|exit code 134|signal SIGABRT"
    r"|v8::internal::Heap(?:Allocator)?::",
)
_KILLED = _known(
    "It was killed: the host ran out of memory.",
    "Build on a host with more memory, or let the build take less: "
    "--build-env NODE_OPTIONS=--max-old-space-size=1024",
    r"exit code 137|(?m:^Killed$)|signal (?:SIGKILL|9\b)",
)
_BUILD = (
    *_known(
        "package.json has no script {name}.",
        "Which there are: npm run. Name one with `node: {{build: …}}` in stager.yml.",
        rf"{_NPM} Missing script: \"?(?P<name>[^\"\n]+)",
        r"ERR_PNPM_NO_SCRIPT[\s\S]*?Missing script: (?P<name>\S+)",
        r"error: Script not found \"(?P<name>[^\"]+)\"",
        r"Couldn't find a script named \"(?P<name>[^\"]+)\"",
        r"error Command \"(?P<name>[^\"]+)\" not found",
    ),
    *_known(
        "{name} is run, and is neither one of the application's packages nor a program of this host.",
        "Add the package that has it to devDependencies, and bring the lock file up to date.",
        r"sh: (?:\d+: |line \d+: )?(?P<name>[\w@./-]+): (?:command )?not found",
        r"command not found: (?P<name>[\w@./-]+)",
    ),
    *_known(
        "The build fetches the font {name} from Google, which this host cannot reach.",
        "Let the build's host reach fonts.googleapis.com, or bring the font along: next/font/local",
        r"Failed to fetch [`']?(?P<name>[\w ]+?)[`']? from Google Fonts",
    ),
    *_known(
        "{name}, which is compiled for this system, is not in the lock file: npm left it out (npm/cli#4828).",
        "Make the lock anew, and add it to the application: "
        "rm -rf node_modules package-lock.json && npm install",
        r"Cannot find module (?P<name>@[\w.-]+/[\w.-]*linux[\w.-]*)\. npm has a bug",
    ),
    *_known(
        "The build does not find {name}.",
        "Is it in dependencies or devDependencies of package.json? What is only installed on your "
        "own computer is "
        "not there. Is the case of its letters right?",
        r"(?:Cannot find module|Cannot find package|Can't resolve|failed to resolve import|Could not resolve)"
        r" ['\"](?P<name>[^'\"\n]+)['\"]",
    ),
    *_known(
        "The build uses an old webpack, which Node 17 and later refuse (OpenSSL 3).",
        "Take webpack 5; or, until then: --build-env NODE_OPTIONS=--openssl-legacy-provider",
        r"ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported",
    ),
)

#: The first that matches is told: what is behind a failure comes before what it looks like.
INSTALL_FAILURES = (
    *_OFFLINE, *_HEAP, *_GIT, *_NATIVE, *_ACCESS, *_PACKAGES, *_LOCK, *_NETWORK, *_KILLED, *_SCRIPTS,
    *_BUILD[-5:],
)  # fmt: skip
STANDALONE_FAILURES = _known(
    "The build made no {name}, although next.config says `output: standalone`.",
    "Does the build do something else than `next build`, or lies the server in a folder below? Then name it: "
    "`node: {{entrypoint: …}}` in stager.yml.",
    r"stager: no (?P<name>\S+)",
)
BUILD_FAILURES = (*_OFFLINE, *_HEAP, *_KILLED, *_NATIVE, *_BUILD, *_SCRIPTS)
