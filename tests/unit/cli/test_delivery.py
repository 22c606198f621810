"""Results arrive whole or not at all."""

from __future__ import annotations

import errno
import json
import os

import pytest

from stager.cli import delivery
from stager.cli.delivery import json_text, to_stdout, write_report
from stager.errors import DiskFull, OutputNotWritable


def names(path):
    return [entry.name for entry in path.iterdir()]


def test_a_report_is_written_whole_in_place_of_the_older_one(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("older")
    write_report(path, {"a": "é\udcff"})
    assert json.loads(path.read_text()) == {"a": "é\udcff"}
    assert path.read_text().endswith("}\n")
    assert names(tmp_path) == ["report.json"]


@pytest.mark.parametrize("name", ["x" * 255, "漢" * 85])
def test_the_name_of_a_report_may_be_as_long_as_names_can_be(tmp_path, name):
    write_report(tmp_path / name, {})
    assert names(tmp_path) == [name]


def test_a_place_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(OutputNotWritable) as caught:
        write_report(tmp_path / "no/r.json", {})
    assert caught.value.brief == f"Cannot write the report {tmp_path}/no/r.json."


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EIO, OutputNotWritable)])
def test_a_report_that_cannot_be_finished_leaves_the_older_one_and_nothing_else(
    tmp_path, monkeypatch, number, kind
):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "report.json"
    path.write_text("older")
    monkeypatch.setattr(delivery.os, "fsync", refuse)
    with pytest.raises(kind):
        write_report(path, {})
    assert path.read_text() == "older"
    assert names(tmp_path) == ["report.json"]


def test_an_interrupt_leaves_nothing_of_a_report(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "report.json", {})
    assert names(tmp_path) == []


def test_results_are_bytes_and_end_in_one_line_feed(capfdbinary):
    to_stdout("a\udcff")
    to_stdout("b\n")
    assert capfdbinary.readouterr().out == b"a\xff\nb\n"


def writing(monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(delivery.os, "write", refuse)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EBADF])
def test_a_reader_that_went_away_is_no_error(monkeypatch, number):
    writing(monkeypatch, number)
    to_stdout("x")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EIO, OutputNotWritable)])
def test_a_stdout_that_takes_nothing_is_one(monkeypatch, number, kind):
    writing(monkeypatch, number)
    with pytest.raises(kind, match="stdout"):
        to_stdout("x")


def test_what_is_written_in_parts_arrives_whole(monkeypatch):
    written = []
    monkeypatch.setattr(delivery.os, "write", lambda _, data: written.append(data[:3]) or len(data[:3]))
    to_stdout("0123456789")
    assert b"".join(written) == b"0123456789\n"


def test_documents_are_ascii():
    assert json_text({"a": "é漢"}).isascii()
