from __future__ import annotations

import pytest

from stager.cli.environment_file import read_environment_file
from stager.errors import UsageError


def test_lines_are_variables_and_nothing_in_them_is_replaced(tmp_path):
    path = tmp_path / "env"
    path.write_text("# no\n\nA=1\n export B = x y \nC=\nD='$A \"b\"'\nE=a=b#c\nF='\nG=\"it's\"\r\n")
    assert read_environment_file(path) == [
        ("A", "1"), ("B", "x y"), ("C", ""), ("D", '$A "b"'), ("E", "a=b#c"), ("F", "'"), ("G", "it's"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["secret", "=secret", "A=1\n secret\n", "A=\0secret"])
def test_another_line_is_refused_and_not_shown(tmp_path, text):
    path = tmp_path / "env"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_environment_file(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"A=\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "env"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot read"):
        read_environment_file(path)
