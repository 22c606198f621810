"""Templates, and the filters without which no value gets out of one: what its reader makes of it counts."""

from __future__ import annotations

import ast
import enum
import json
import os
import random
import shutil
import subprocess
import sys
import types
import uuid

import pytest

from stager import rendering
from stager.errors import PluginBroken, TemplateFailed
from stager.rendering import Renderer, references

NASTY = [
    "", " ", "plain", "it's", '"', "''\"\"", "$HOME", "${HOME}", "$(id)", "`id`", "a\nb", "\n", "a\r\nb\tc",
    "\x01\x1b[31m", "-n", "~", "*", "!x", "\\", "\\\\'", "a\\", "\\n", "ünï ☃ \U0001f600", "\udcff\udc80",
    "a\udcffb\n'c", "\x7f", "#", "a=b", "x y ", "\u2028", "%s", ";&|<>()", "{a,b}", "\x01f", "\udcffab",
]  # fmt: skip


class Mode(enum.StrEnum):
    A = "a"


def alphabet_soup(alphabet, count, longest, seed=5):
    rng = random.Random(seed)
    return ["".join(rng.choice(alphabet) for _ in range(rng.randint(0, longest))) for _ in range(count)]


@pytest.fixture
def template(tmp_path, monkeypatch):
    """Writes templates of a package ``words`` and renders one: ``template(text, **values)``."""

    def render(text, /, **values):
        name = f"words_{uuid.uuid4().hex}"  # a template is compiled once in a process
        folder = tmp_path / name / "templates"
        folder.mkdir(parents=True)
        (folder / "text.j2").write_text(text)
        package = types.ModuleType(name)
        package.__path__ = [str(tmp_path / name)]
        monkeypatch.setitem(sys.modules, name, package)
        return Renderer([f"{name}.plugin.buildpack"]).render(f"{name}/text.j2", values)

    return render


# ---- shell


def bash(script, **options):
    data = script.encode(errors="surrogateescape")
    return subprocess.run(["bash", "-c", data], capture_output=True, check=True, **options).stdout


def test_sh_is_what_bash_reads_back():
    values = NASTY + alphabet_soup("'\"\\$`\n\t x{}\udcff\x01é!", 300, 8)
    words = " ".join(rendering.quote(value) for value in values)
    assert "\n" not in words
    assert bash(f"printf '%s\\0' {words}").split(b"\0")[:-1] == [os.fsencode(value) for value in values]


def test_sh_is_ascii_where_a_byte_is_no_character():
    assert rendering.quote("a\udcff") == "$'a\\xff'"
    rendering.quote_all(NASTY).encode()


def test_argv_is_a_list_of_words(template):
    assert template("run {{ words | argv }}", words=["a b", 1, ""]) == "run 'a b' 1 ''"
    with pytest.raises(TemplateFailed, match="one word, not a list of words"):
        template("run {{ words | argv }}", words="a b")


def test_at_start_replaces_references_and_nothing_else():
    values = [
        "${A}", "a${A}b", "${A}${B}", "$${A}", "$$", "$$$${A}", "$", "a$b", "$A", "${1}", "${A:-x}", "${}",
        "${ A }", "${A", "$$${A}", "'${A}'", '"${A}"', "\n${B}\n", "", "${UNSET}", "\udcff${A}",
        "`id`${A}$(id)", "\\${A}",
    ]  # fmt: skip
    environment = {"A": "it's * $(id)\n", "B": " b  c "}

    def expand(word):
        for found in reversed(list(rendering.REFERENCE.finditer(word))):
            value = environment.get(found[1], "") if found[1] else "$"
            word = word[: found.start()] + value + word[found.end() :]
        return os.fsencode(word)

    words = rendering.quote_all_at_start(values)
    got = bash(f"printf '%s\\0' {words}", env={**os.environ, **environment}).split(b"\0")[:-1]
    assert got == [expand(value) for value in values]
    assert expand("$$${A}") == b"$it's * $(id)\n"


def test_references_are_named():
    assert references("${A}-${B_1}$${C}$D${1}${A}") == {"A", "B_1"}


# ---- Apache


def test_apache_reads_back_what_was_quoted(tmp_path):
    if not shutil.which("apache2"):
        pytest.skip("there is no Apache here")
    values = [value for value in NASTY if "\n" not in value and "\r" not in value and "\udcff" not in value]
    values += ["${APACHE}", "a${HOME}b${", "$${X}", '\\"${A}\\', *alphabet_soup("\"\\${}A' x", 100, 8)]
    lines = [
        'Define STAGER_DOLLAR "$"',
        f'ServerRoot "{tmp_path}"',
        "ErrorLog /dev/null",
        "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so",
    ]
    for number, value in enumerate(values):
        lines += [f"Define V{number} {rendering.quote_apache(value)}"] if value else []
    (tmp_path / "conf").write_text("\n".join(lines) + "\n")
    ended = subprocess.run(
        ["apache2", "-d", tmp_path, "-f", tmp_path / "conf", "-t", "-DDUMP_RUN_CFG"],
        capture_output=True,
        check=False,
    )
    got = dict(
        line.removeprefix(b"Define: ").split(b"=", 1)
        for line in ended.stdout.split(b"\n")
        if line.startswith(b"Define: V")
    )
    assert {int(name[1:]): value.decode() for name, value in got.items()} == {
        number: value for number, value in enumerate(values) if value
    }
    assert b"AH00111" not in ended.stderr


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("name", ["apache", "ini"])
def test_what_breaks_a_line_is_refused(template, name, value):
    with pytest.raises(TemplateFailed) as caught:
        template(f"x {{{{ value | {name} }}}}", value=value)
    assert caught.value.exit_code == 43
    assert ascii(value) in caught.value.details
    assert "text.j2" in caught.value.brief


# ---- ini


def test_php_reads_back_what_was_quoted(tmp_path):
    if not shutil.which("php"):
        pytest.skip("there is no PHP here")
    values = [value for value in NASTY if "\n" not in value and "\r" not in value and "\udcff" not in value]
    values += ["On", "none", "null", "E_ALL", "1", "a\\", "\\'", "[x]", "a;b"]
    values += alphabet_soup("'\"\\${}; #=[]()&|^~!aZ0 \tü%", 2000, 9)
    path = tmp_path / "x.ini"
    path.write_text(
        "".join(f"k{number} = {rendering.quote_ini(value)}\n" for number, value in enumerate(values))
    )
    code = f"echo json_encode(parse_ini_file('{path}', false, INI_SCANNER_NORMAL));"
    got = json.loads(subprocess.run(["php", "-n", "-r", code], capture_output=True, check=True).stdout)
    assert [got[f"k{number}"] for number in range(len(values))] == values


def test_booleans_and_numbers_are_ini_values_too():
    assert [rendering.quote_ini(value) for value in (True, False, 12)] == ["'1'", "'0'", "'12'"]


# ---- the rest


def test_a_comment_stays_one_line_that_every_tool_can_read():
    text = rendering.quote_comment("a\nb\r\x1b[1m\x85\u2028\udcffç")
    assert text == "a?b??[1m???ç"


def test_an_integer_is_one(template):
    assert template("{{ a | integer }} {{ b | integer }} {{ c | integer }}", a=-5, b="12", c=0) == "-5 12 0"
    for value in ("1 2", "", "x", 1.5, None, True, "٣", "5\n"):
        with pytest.raises(TemplateFailed, match="no whole number"):
            template("{{ a | integer }}", a=value)


def test_a_word_needs_no_quotes_anywhere(template):
    assert template("{{ a | word }}", a="date.timezone") == "date.timezone"
    for value in ("", "a b", "a\n", "$x", "a;b", "a'b", "ü", "a]"):
        with pytest.raises(TemplateFailed, match="may stand here"):
            template("{{ a | word }}", a=value)


# ---- templates


def test_whitespace_is_as_in_the_template_without_its_blocks(template):
    text = "a\n{% if yes %}\n    {% for x in xs %}\n  {{ x | sh }}\n    {% endfor %}\n{% endif %}\nb\n"
    assert template(text, yes=True, xs=[1, 2]) == "a\n  1\n  2\nb\n"


@pytest.mark.parametrize(
    "text",
    [
        "{{ a }}",
        "{{ a | upper }}",
        "{{ a | sh | upper }}",
        "{{ a ~ 'x' }}",
        "{% if a %}{{ a if a else b }}{% endif %}",
        "{{ a | sh ~ a }}",
    ],
)
def test_a_value_without_a_quoting_filter_is_not_rendered(template, text):
    with pytest.raises(TemplateFailed) as caught:
        template(f"first line\n{text}", a="a", b="b")
    assert "line 2: a value is printed without a quoting filter (sh, argv" in caught.value.details


def test_other_filters_may_come_before(template):
    assert template("{{ a | upper | sh }}{{ ', '.join(b) | comment }}", a="a b", b=["c"]) == "'A B'c"


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("{{ missing | sh }}", "'missing' is undefined"),
        ("{% if a.b.c %}{% endif %}", "has no attribute"),
        ("a\n{% if %}", "line 2"),
        ("{{ a | nothing | sh }}", "No filter named 'nothing'"),
        ("{% include 'launch/nothing.j2' %}", "There is no template launch/nothing.j2"),
        ("{{ (1 / 0) | integer }}", "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_is_one_error_that_names_the_template(template, text, details):
    with pytest.raises(TemplateFailed) as caught:
        template(text, a={})
    assert "text.j2 cannot be rendered" in caught.value.brief
    assert details in caught.value.details
    assert caught.value.resolution


@pytest.mark.parametrize(
    "name", ["nothing/x.j2", "launch/nothing.j2", "launch", "../launch/stop.j2", "launch/../launch/stop.j2"]
)
def test_a_template_that_is_not_there_is_an_error(name):
    with pytest.raises(TemplateFailed):
        Renderer().render(name, {})


def test_packages_that_bring_no_templates_are_fine():
    Renderer(["stager.plugins.php", "json", "no.such.package"])


def test_two_packages_of_one_name_are_named(tmp_path, monkeypatch):
    for name in ("one.words", "two.words", "alone.launch"):
        folder = tmp_path / name / "templates"
        folder.mkdir(parents=True)
        package = types.ModuleType(name)
        package.__path__ = [str(tmp_path / name)]
        monkeypatch.setitem(sys.modules, name, package)
    Renderer(["one.words", "one.words.buildpack"])
    for packages in (["one.words", "two.words"], ["alone.launch"]):
        with pytest.raises(PluginBroken) as caught:
            Renderer(packages)
        assert str(tmp_path) in caught.value.details


def test_a_long_value_is_not_shown_whole():
    with pytest.raises(rendering._RefusedError) as caught:
        rendering.quote_apache("x" * 5000 + "\n")
    assert len(str(caught.value)) < 300


# ---- Python


def test_python_is_what_python_reads_back(template):
    values = [*NASTY, *alphabet_soup("'\"\\\n\r\0 {}\udcffé\u2028", 300, 8), 0, -1, True, False, None]
    values += [(), ("a",), ("a", 1), [], ["a", ["b"]], {}, {"a'": {"b": (None,)}, 1: True}]
    for value in values:
        text = rendering.quote_python(value)
        assert "\n" not in text
        text.encode()  # no surrogate is left
        found = ast.literal_eval(text)
        assert (found, type(found)) == (value, type(value))
    assert template("a = {{ a | python }}", a=("b",)) == "a = ('b',)"


@pytest.mark.parametrize("value", [object(), {1}, [object()], {"a": b"b"}, 1.5, Mode.A])
def test_python_has_no_literal_for_what_is_no_plain_value(template, value):
    with pytest.raises(TemplateFailed, match="no literal"):
        template("{{ a | python }}", a=value)
