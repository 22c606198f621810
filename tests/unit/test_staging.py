"""The whole story with a small buildpack of its own: what is packed, what is found, what is left."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import tempfile
from dataclasses import replace

import pytest
import yaml

from stager import Request, staging
from stager.archive.droplet_content import read_droplet
from stager.buildpack import Buildpack, NoOptions
from stager.errors import (
    ConfigurationError,
    HostToolMissing,
    NothingDetected,
    OfflineNotCached,
    OutputNotWritable,
    PluginBroken,
    StepFailed,
    TemplateFailed,
    UsageError,
    VerificationFailed,
)
from stager.model.detection import Detection, Strength
from stager.model.finding import Finding
from stager.model.host import HostTool
from stager.model.plan import BuildPlan, CacheItem, Process, RenderedFile, RunCommand, Shell, SyntaxCheck
from stager.model.report import Record
from stager.model.reporter import Silent
from stager.phases import verify as verify_module
from stager.registry import Registry
from stager.staging import stage

MAKE = HostTool("make-deps", "installs dependencies", "make-deps", ("make-deps",))
PARSE = HostTool("parse", "parses files", "parse", ("parse",))


class Fake(Buildpack[NoOptions]):
    """Plans whatever a test wants planned."""

    runtime = "fake"
    host_tools = (MAKE, PARSE)

    def __init__(self, **fields):
        self.fields = {"processes": (Process("web", Shell("exec sleep 60")),), **fields}

    def detect(self, source):
        return Detection(Strength.STRONG if source.has("fake.txt") else Strength.NONE, ("fake.txt",))

    def plan(self, context):
        return BuildPlan("fake", **self.fields)


class NamedCheck:
    def __init__(self, name, function):
        self.name = name
        self.run = function


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "shop"
    for path, text in {"fake.txt": "x", "a b/.dot": "dot", "run.sh": "#!/bin/sh\n"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "run.sh").chmod(0o700)
    return root


@pytest.fixture
def staged(source, tmp_path, monkeypatch):
    """Stage the source; what is known of it is in ``staged.record``, also after an error."""

    def do(checks=(), settings=None, reporter=None, request=None, **plan):
        if settings:
            (source / "stager.yml").write_text(yaml.safe_dump(settings))
        registry = Registry({"fake": Fake(**plan)}, {"fake": "fake-package 1.0"}, checks)
        monkeypatch.setattr(staging, "load_registry", lambda: registry)
        monkeypatch.setattr(verify_module, "load_registry", lambda: registry)
        fields = {
            "source": str(source),
            "output": tmp_path / "out.tar.gz",
            "environment": {},
            **(request or {}),
        }
        do.record = Record()
        return stage(Request(**fields), reporter, do.record)

    return do


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path):
    yield
    assert os.listdir(tempfile.gettempdir()) == []
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def members(droplet):
    with tarfile.open(fileobj=io.BytesIO(unpacked(droplet))) as archive:
        return {info.name: info for info in archive}


def unpacked(droplet):
    return subprocess.run(["gzip", "-dc", droplet], capture_output=True, check=True).stdout


def text_of(droplet, path):
    with tarfile.open(fileobj=io.BytesIO(unpacked(droplet))) as archive:
        return archive.extractfile(path).read().decode()


def errors(caught):
    return caught.value.details


def test_the_record_says_all_that_happened(staged, tmp_path):
    record = staged(versions={"fake": "3"})
    assert record is staged.record
    assert record.droplet.path == str(tmp_path / "out.tar.gz")
    assert record.droplet.size_bytes == (tmp_path / "out.tar.gz").stat().st_size
    done = subprocess.run(["sha256sum", tmp_path / "out.tar.gz"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == record.droplet.sha256
    assert [phase.name for phase in record.phases] == ["detect", "plan", "assemble", "pack", "verify"]
    assert record.detected.selected == ("fake",)
    assert record.runtimes[0].versions == {"fake": "3"}
    assert record.verification.is_ok
    assert json.dumps(record.document("1"))


def test_a_droplet_holds_the_application_scripts_and_empty_directories(staged, tmp_path):
    staged()
    found = members(tmp_path / "out.tar.gz")
    assert {name for name, info in found.items() if info.isdir()} == {"app", "app/a b", "logs", "run", "tmp"}
    assert {name: info.mode for name, info in found.items() if info.isreg()} == {
        "app/fake.txt": 0o644, "app/a b/.dot": 0o644, "app/run.sh": 0o755, "startup": 0o755, "stop": 0o755,
        "droplet.yaml": 0o644, "droplet.sha256": 0o644,
    }  # fmt: skip


def test_without_steps_the_source_is_packed_from_where_it_lies(staged, source, monkeypatch):
    monkeypatch.setattr("stager.phases.assemble.materialise", None)
    staged()


def test_steps_work_on_a_copy_and_what_they_make_is_a_layer_of_its_own(staged, source, tmp_path, programs):
    programs("make-deps", 'mkdir -p deps/x; echo made > deps/x/y; echo changed > fake.txt; rm "a b/.dot"')
    step = RunCommand("make deps", "make-deps", (), outputs=("app/deps", "app/never"))
    staged(steps=(step,))
    assert (source / "fake.txt").read_text() == "x"
    found = list(members(tmp_path / "out.tar.gz"))
    assert found.index("app/deps/x/y") < found.index("app/fake.txt")
    assert found.count("app") == found.count("app/deps") == 1
    assert "app/a b/.dot" not in found
    assert text_of(tmp_path / "out.tar.gz", "app/fake.txt") == "changed\n"
    layers = {layer.name: layer for layer in read_droplet(tmp_path / "out.tar.gz").manifest.layers}
    assert (layers["dependencies"].files, layers["app"].files) == (1, 2)


def test_hooks_run_before_and_after_and_their_output_is_told(staged, tmp_path):
    class Telling(Silent):
        lines = ()

        def output(self, line):
            self.lines += (line,)

    told = Telling()
    staged(
        settings={"hooks": {"before_build": "echo one", "after_build": "echo two > after.txt"}}, reporter=told
    )
    assert told.lines == ("one",)
    assert text_of(tmp_path / "out.tar.gz", "app/after.txt") == "two\n"


def test_the_environment_of_hooks_holds_services_and_both_environments(staged, tmp_path):
    services = '{"mysql": [{"credentials": {"uri": "x"}}]}'
    script = 'test "$VCAP_SERVICES" = \'' + services + '\'; echo $RUN > seen; test "$BUILD" = b'
    staged(
        settings={"hooks": {"before_build": script}, "env": {"RUN": "r"}, "build_env": {"BUILD": "b"}},
        request={"services": services},
    )
    assert text_of(tmp_path / "out.tar.gz", "app/seen") == "r\n"
    manifest = yaml.safe_load(text_of(tmp_path / "out.tar.gz", "droplet.yaml"))
    assert manifest["environment"] == {"RUN": "r"}


@pytest.mark.parametrize("format_", ["tar.gz", "tar.zst", "dir"])
def test_every_format_is_published_and_the_older_one_is_replaced(staged, tmp_path, format_):
    output = tmp_path / "droplet"
    for _ in range(2):
        record = staged(request={"output": output, "format": format_})
        assert record.droplet.format == format_
        assert read_droplet(output).manifest.runtimes[0].name == "fake"
        assert output.is_dir() == (format_ == "dir")


def test_output_and_cache_in_the_source_are_not_part_of_it(staged, source):
    (source / "cache").mkdir()
    (source / "cache/x").touch()
    (source / "report.json").touch()
    output = source / "out.tar.gz"
    request = {
        "output": output, "cache_directory": source / "cache", "excluded": (source / "report.json",),
    }  # fmt: skip
    first = staged(request=request).droplet.sha256
    assert staged(request=request).droplet.sha256 == first
    assert not {name for name in members(output) if name.startswith(("app/out", "app/cache", "app/report"))}


def test_what_is_ignored_is_not_there_for_anyone(staged, source):
    (source / ".stagerignore").write_text("fake.txt\n")
    with pytest.raises(NothingDetected):
        staged()
    assert [phase.name for phase in staged.record.phases] == ["detect"]
    assert staged.record.detected.selected == ()
    assert staged.record.limits is not None


def test_a_failing_step_leaves_no_droplet_and_keeps_the_older_one(staged, tmp_path):
    (tmp_path / "out.tar.gz").write_text("older")
    with pytest.raises(StepFailed):
        staged(settings={"hooks": {"before_build": "exit 1"}})
    assert (tmp_path / "out.tar.gz").read_text() == "older"
    assert staged.record.droplet is None
    assert [phase.name for phase in staged.record.phases] == ["detect", "plan", "assemble"]


def test_a_missing_tool_and_a_missing_cache_are_told_before_anything_runs(staged, tmp_path):
    mark = tmp_path / "ran"
    settings = {"hooks": {"before_build": f"touch {mark}"}}
    step = RunCommand("make deps", "make-deps", (), offline_needs=(CacheItem("acme 1.0", "files/acme"),))
    with pytest.raises(HostToolMissing):
        staged(settings=settings, steps=(step,))
    with pytest.raises(OfflineNotCached):
        staged(
            settings=settings, steps=(step,), request={"offline": True, "cache_directory": tmp_path / "cache"}
        )
    with pytest.raises(OfflineNotCached):
        staged(settings=settings, steps=(step,), request={"offline": True})
    assert not mark.exists()


def test_the_cache_is_made_and_kept_or_is_one_that_goes_away(staged, tmp_path, programs):
    programs("make-deps", 'echo kept > "$CACHE/x"; echo "$CACHE" > "$CACHE_LOG"')
    step = RunCommand(
        "deps", "make-deps", (), environment={"CACHE": "{cache}", "CACHE_LOG": str(tmp_path / "log")}
    )
    staged(steps=(step,), request={"cache_directory": tmp_path / "new/cache"})
    assert (tmp_path / "new/cache/x").read_text() == "kept\n"
    staged(steps=(step,))
    assert not os.path.exists((tmp_path / "log").read_text().strip())


def test_a_cache_that_cannot_be_made_is_an_error_of_usage(staged, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made") as caught:
        staged(settings={"hooks": {"before_build": "true"}}, request={"cache_directory": tmp_path / "file"})
    assert "--no-cache" in caught.value.resolution


def test_a_template_that_is_not_there_is_an_error_before_a_step_runs(staged, tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(TemplateFailed):
        staged(
            settings={"hooks": {"before_build": f"touch {mark}"}}, files=(RenderedFile("x", "fake/no.j2"),)
        )
    assert not mark.exists()


def test_a_plan_that_generates_files_of_the_application_is_refused(staged):
    with pytest.raises(PluginBroken):
        staged(files=(RenderedFile("app/x", "php/php.ini.j2"),))


@pytest.mark.parametrize("epoch", ["x", "-1", "1.5", "\u0661", str(1 << 33)])
def test_a_source_date_epoch_that_is_no_time_is_refused(staged, epoch):
    with pytest.raises(ConfigurationError) as caught:
        staged(request={"environment": {"SOURCE_DATE_EPOCH": epoch}})
    assert caught.value.brief == f"SOURCE_DATE_EPOCH is {epoch!r}."


@pytest.mark.parametrize(("epoch", "time"), [("", 315532801), ("0", 0), ("1700000000", 1700000000)])
def test_every_member_has_the_one_time(staged, tmp_path, epoch, time):
    staged(request={"environment": {"SOURCE_DATE_EPOCH": epoch}})
    assert {info.mtime for info in members(tmp_path / "out.tar.gz").values()} == {time}


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("script", "label"),
    [
        ('echo "x$KEY" > leak', "it holds the value of --build-env KEY"),
        ('touch "leak$KEY"', "it holds the value of --build-env KEY"),
        ('ln -s "$KEY" leak', "it holds the value of --build-env KEY"),
        ("echo $VCAP_SERVICES > leak", "it holds the value of --services"),
        ("pwd > leak", "it names the directory that it was built in"),
        ('echo "$HOME" > leak', "it names the directory that it was built in"),
    ],
)
def test_what_belongs_to_the_build_alone_is_found_in_a_droplet(staged, tmp_path, script, label):
    with pytest.raises(VerificationFailed) as caught:
        staged(
            settings={"hooks": {"before_build": script}},
            request={
                "flags": {"build_env.KEY": SECRET},
                "services": '{"db": [{"credentials": {"password": "pass-word-12"}}]}',
            },
        )
    assert caught.value.brief == "Verification found 1 error; no droplet was written."
    assert "app/leak" in errors(caught)
    assert errors(caught).endswith(label)
    assert not (tmp_path / "out.tar.gz").exists()
    document = json.dumps(staged.record.document("1", caught.value))
    assert "pass-word-12" not in document
    if "touch" not in script:
        assert SECRET not in document


def test_a_value_that_stands_in_the_applications_own_settings_is_no_secret(staged, tmp_path):
    staged(settings={"build_env": {"NODE_OPTIONS": "--max-old-space-size=4096"}})
    own = tmp_path / "own.yml"
    own.write_text("build_env: {KEY: some-other-value}\nhooks: {before_build: 'echo $KEY > leak'}\n")
    with pytest.raises(VerificationFailed, match="app/leak: it holds the value of --build-env KEY"):
        staged(request={"config": own})


def test_short_values_of_the_build_are_no_secrets(staged):
    staged(settings={"hooks": {"before_build": "echo $MODE > mode"}, "build_env": {"MODE": "prod"}})


def test_an_application_may_name_its_own_directory_where_no_step_ran(staged, source):
    (source / "note.txt").write_text(f"This lies in {source}.\n")
    staged()


def test_a_generated_file_may_not_name_the_source(staged, source):
    with pytest.raises(VerificationFailed) as caught:
        staged(processes=(Process("web", ("cat", f"{source}/fake.txt")),))
    assert errors(caught).splitlines() == [
        f"build-path: {name}: it names a directory of the host that built it" for name in ("startup",)
    ]


@pytest.mark.parametrize("place", ["/app", "/tmp", "/"])
def test_a_short_place_is_no_evidence(staged, monkeypatch, place):
    # `stager build /app` in a container: ${STAGER_ROOT}/app stands in every startup.
    really = os.path.realpath

    def lies_there(path, **options):
        return place if path == "the source" else really(path, **options)

    monkeypatch.setattr(verify_module.os.path, "realpath", lies_there)
    places = verify_module._places

    def looked_for(assembled, workspace, request):
        return places(assembled, workspace, replace(request, source="the source"))

    monkeypatch.setattr(verify_module, "_places", looked_for)
    process = Process("web", ("cat", "${STAGER_ROOT}/app/fake.txt", "/tmp/x"))
    assert [found.check for found in staged(processes=(process,)).verification.findings] == []


def test_nothing_is_verified_where_nobody_wants_to_know(staged, tmp_path):
    record = staged(settings={"hooks": {"before_build": "pwd > leak"}}, request={"verify": "none"})
    assert record.verification is None
    assert "app/leak" in members(tmp_path / "out.tar.gz")


def test_entry_files_are_parsed_by_the_runtimes_own_parser(staged, programs, source):
    programs("parse", 'test "$1" = -l || exit 9; grep -q x "$2" || { echo "error in $2"; exit 1; }')
    checks = (SyntaxCheck("parse", ("-l",), "app/fake.txt"), SyntaxCheck("parse", ("-l",), "app/a b/.dot"))
    with pytest.raises(VerificationFailed) as caught:
        staged(syntax_checks=checks)
    assert errors(caught) == "syntax: app/a b/.dot: error in app/a b/.dot"
    assert staged(syntax_checks=checks[:1]).verification.findings == ()


def test_a_parser_that_is_missing_is_named_and_never_silent(staged):
    class Telling(Silent):
        warnings = ()

        def warning(self, text):
            self.warnings += (text,)

    told = Telling()
    record = staged(syntax_checks=(SyntaxCheck("parse", (), "app/fake.txt"),), reporter=told)
    (finding,) = record.verification.findings
    assert finding == Finding("syntax", "skipped", "parse is not on this host: not parsed", "app/fake.txt")
    assert told.warnings == ("syntax: app/fake.txt: parse is not on this host: not parsed",)
    assert record.warnings == list(told.warnings)


@pytest.mark.parametrize(
    ("script", "level", "message"),
    [
        ("echo 'Syntax OK'", None, ""),
        ("echo 'AH00558: could not determine'", "warning", "AH00558: could not determine"),
        ("echo '[pool x] NOTICE: fine'; echo 'WARNING: odd'", "warning", "WARNING: odd"),
        ("echo broken; exit 1", "error", "broken"),
        ("exit 3", "error", ""),
    ],
)
def test_the_servers_own_check_runs_in_the_environment_of_a_start(staged, tmp_path, script, level, message):
    check = ("bash", "-c", f'test -n "$PORT" && cd "$STAGER_ROOT/app" && {script}')
    plan = {"processes": (Process("web", ("sleep", "${STAGER_SERVER_USER}"), checks=(check,)),)}
    if level == "error":
        with pytest.raises(VerificationFailed) as caught:
            staged(**plan)
        assert errors(caught).startswith("configuration: ")
        assert message in errors(caught)
    else:
        found = staged(**plan).verification.findings
        assert [(finding.level, finding.message) for finding in found] == (
            [(level, message)] if level else []
        )


def test_a_server_that_the_build_host_lacks_is_skipped_by_name(staged):
    tool = HostTool("httpd", "serves", "apache2", ("no-such-httpd",), variable="HTTPD", when="run")
    process = Process("web", ("${HTTPD}",), checks=(("${HTTPD}", "-t"),))
    (finding,) = staged(processes=(process,), tools=(tool,)).verification.findings
    assert (finding.check, finding.level) == ("configuration", "skipped")
    assert finding.message.startswith("the configuration of web was not checked: ")
    assert "apache2" in finding.message


def test_a_process_that_cannot_drain_is_said_to(staged):
    (finding,) = staged(processes=(Process("web", ("sleep", "60"), drains=False),)).verification.findings
    assert (finding.check, finding.level) == ("drain", "info")


def test_checks_of_plugins_see_the_droplet_and_one_that_raises_is_an_error(staged):
    def look(droplet):
        assert droplet.manifest["runtimes"][0]["name"] == "fake"
        assert {"startup", "app/fake.txt"} <= droplet.names
        assert droplet.read("startup").startswith(b"#!/bin/bash")
        assert droplet.read("app/fake.txt") == b"x"
        return (Finding("look", "warning", "seen"),)

    def fail(droplet):
        raise LookupError("no luck")

    record = staged(checks=(NamedCheck("look", look),))
    assert record.verification.findings == (Finding("look", "warning", "seen"),)
    assert record.verification.checks[-1] == "look"
    with pytest.raises(VerificationFailed) as caught:
        staged(checks=(NamedCheck("fail", fail), NamedCheck("look", look)))
    assert errors(caught) == "fail: the check itself failed: LookupError: no luck"


def test_output_that_cannot_be_written_is_an_error_and_no_phase_runs_on(staged, tmp_path):
    with pytest.raises(OutputNotWritable):
        staged(request={"output": tmp_path / "no/out.tar.gz"})
    assert staged.record.phases[-1].name == "pack"


def test_boot_records_nothing_where_it_fails_and_says_what_the_log_said(staged, tmp_path):
    process = Process("web", Shell("echo cannot start; exit 3"))
    with pytest.raises(VerificationFailed) as caught:
        staged(processes=(process,), request={"verify": "boot"})
    assert "cannot start" in errors(caught)
    assert staged.record.verification.boot.status == "failed"
    assert staged.record.verification.checks[-1] == "boot"
    assert not (tmp_path / "out.tar.gz").exists()
