"""Reports have the same keys however a build ended."""

from __future__ import annotations

import json

import pytest

from stager import errors
from stager.errors import PluginBroken, StepFailed, UsageError
from stager.model.detection import Detected, Detection, Strength
from stager.model.droplet import Runtime
from stager.model.finding import Boot, Finding, Verification
from stager.model.plan import Limits, Process, Shell
from stager.model.report import DropletFile, Record, Recording, detections_document, error_document
from stager.model.reporter import Silent

DETECTED = Detected(
    (
        ("php", Detection(Strength.STRONG, ("index.php",), ("composer.jsn: did you mean composer.json?",))),
        ("node", Detection(Strength.NONE, (), ("packages.json",))),
    ),
    ("php",),
)
KEYS = {
    "schema", "status", "exit_code", "error", "runtimes", "versions", "detections", "near_misses", "droplet",
    "processes", "limits", "settings_from", "phases", "warnings", "verification", "stager_version",
}  # fmt: skip


def full():
    return Record(
        detected=DETECTED,
        runtimes=(Runtime("php", {"php": "8.2"}),),
        processes=(Process("web", ("serve", "x y")), Process("worker", Shell("run 'it'"))),
        droplet=DropletFile("a.tar.gz", "0" * 64, 5, "tar.gz"),
        verification=Verification((Finding("names", "warning", "odd", "app/x"),), Boot("served"), ("names",)),
        limits=Limits(),
        origins={"memory": "--memory"},
    )


def test_success_and_failure_have_the_same_keys():
    succeeded = full().document("1.0")
    failed = Record().document("1.0", StepFailed("It failed.", details="because", resolution="Mend it."))
    assert set(succeeded) == set(failed) == KEYS
    for document in (succeeded, failed):
        assert set(json.loads(json.dumps(document))) == KEYS


def test_success_says_all_that_is_known():
    document = full().document("1.0")
    assert (document["schema"], document["status"], document["exit_code"]) == (1, "succeeded", 0)
    assert document["error"] is None
    assert document["runtimes"] == ["php"]
    assert document["versions"] == {"php": {"php": "8.2"}}
    assert document["processes"] == {"web": ["serve", "x y"], "worker": "run 'it'"}
    assert document["droplet"] == {
        "path": "a.tar.gz", "sha256": "0" * 64, "size_bytes": 5, "format": "tar.gz",
    }  # fmt: skip
    assert document["limits"] == {"memory": 512 << 20, "disk": 1 << 30, "fds": 1024}
    assert document["settings_from"] == {"memory": "--memory"}
    assert document["verification"]["ok"] is True
    assert document["verification"]["boot"]["status"] == "served"
    assert document["stager_version"] == "1.0"


def test_failure_says_whose_fault_it_is_and_what_to_do():
    error = StepFailed("It failed.", details="because", resolution="Mend it.", slug="step-odd")
    document = full().document("1.0", error)
    assert (document["status"], document["exit_code"]) == ("failed", 40)
    assert document["error"] == {
        "code": "step-odd", "fault": "application", "brief": "It failed.", "details": "because",
        "resolution": "Mend it.", "retry": False,
    }  # fmt: skip
    assert document["detections"][0]["runtime"] == "php"


def test_detections_show_evidence_and_near_misses_and_leave_out_what_is_nothing():
    assert detections_document(DETECTED) == {
        "schema": 1,
        "detections": [{"runtime": "php", "strength": "strong", "evidence": ["index.php"]}],
        "near_misses": ["php: composer.jsn: did you mean composer.json?", "node: packages.json"],
        "selected": ["php"],
    }


def test_a_record_keeps_the_times_of_phases_and_the_warnings():
    record = Record()
    said = []

    class Told(Silent):
        def warning(self, text):
            said.append(text)

    recording = Recording(Told(), record)
    with recording.phase("detect"):
        assert record.doing == "the phase detect"
        recording.warning("odd")
        recording.step("npm ci")
        assert record.doing == "npm ci"
    with pytest.raises(UsageError), recording.phase("plan"):
        raise UsageError("no")
    assert [phase.name for phase in record.phases] == ["detect", "plan"]
    assert all(0 <= phase.seconds < 5 and not phase.cached for phase in record.phases)
    assert record.warnings == said == ["odd"]
    assert [phase["name"] for phase in record.document("1")["phases"]] == ["detect", "plan"]


def test_every_error_class_has_an_exit_code_and_a_stable_name_of_its_own():
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    classes = [one for one in classes if issubclass(one, errors.StagerError)]
    assert len({one.slug for one in classes}) == len(classes)
    assert len({one.exit_code for one in classes}) == len(classes)
    for one in classes:
        document = error_document(one("b", details="d", resolution="r"))
        assert document["code"] == one.slug
        assert document["fault"] in {"application", "platform", "usage", "stager"}


def test_an_error_reads_as_its_three_parts():
    assert str(PluginBroken("b", details="d", resolution="r")) == "b\nd\nr"
    assert str(PluginBroken("b")) == "b"


def test_a_verification_is_fine_unless_a_finding_is_an_error():
    levels = ("warning", "skipped", "info")
    assert Verification(tuple(Finding("c", level, "m") for level in levels)).is_ok
    assert not Verification((Finding("c", "error", "m"),)).is_ok
