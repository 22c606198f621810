"""`_redirects` and `_headers`: what is understood, and that nothing gets out of its place."""

import re

import pytest

from stager.errors import ConfigurationError
from stager.plugins.static.headers import read_headers
from stager.plugins.static.paths import pattern_of
from stager.plugins.static.redirects import read_redirects


def rule(line):
    made = read_redirects(line)
    assert made.warnings == ()
    (one,) = made.rules
    return one


@pytest.mark.parametrize(
    ("path", "matching", "others"),
    [
        ("/a", ["/a", "/a/"], ["/ab", "/a/b", "/"]),
        ("/", ["/"], ["/a"]),
        ("/a/*", ["/a", "/a/", "/a/b/c"], ["/ab"]),
        ("/*", ["/", "/a"], []),
        ("/:x/b/:y", ["/1/b/2"], ["/1/b", "/1/b/2/3"]),
        ("/a.b+(c)", ["/a.b+(c)"], ["/axb+(c)"]),
        ("/%C3%A4%20b$", ["/ä b$"], ["/ä b"]),
    ],
)
def test_paths_match_as_they_are_meant(path, matching, others):
    expression = pattern_of(path).expression
    assert all(re.match(expression, one) for one in matching)
    assert not any(re.match(expression, one) for one in others)


@pytest.mark.parametrize(
    "path",
    ["/a/*/b", "/a*", '/a"b', "/a\\b", "/a%5Eb", "/a%0Ab", "/:a/:a", "/a%2Fb", "/:b" * 10],
)
def test_paths_that_no_rule_can_hold_are_named(path):
    assert isinstance(pattern_of(path), str)


def test_rules_have_kinds_statuses_and_references():
    one = rule("/a/:id/* https://x.org/%20ä/:id/:splat?q=:id#f 302!")
    assert (one.kind, one.status, one.is_forced) == ("away", 302, True)
    percent = "%{ENV:STAGER_PERCENT}"
    assert one.target == (
        f"https://x.org/{percent}20{percent}C3{percent}A4/${{stager_escape:$1}}/${{stager_escape:$2}}"
        "?q=${stager_escape:$1}#f"
    )
    assert rule("/a /b").kind == "moved"
    assert rule("/a /b/c.html?x=1 200").target == "/b/c.html"
    assert (rule("/a /404.html 404").kind, rule("/a /x.html 410").target) == ("status", "x.html")
    found = rule("/s id=:id t=fixed /p/:id 301")
    assert found.target == "/p/%1"
    assert re.match(found.query, "t=fixed&id=5")[1] == "5"
    assert not re.match(found.query, "id=//x&t=fixed")


def test_the_rule_for_everything_is_the_pages_own_router():
    made = read_redirects("/a /b\n/* /index.html 200\n/c /d\n")
    assert (len(made.rules), made.fallback) == (1, "index.html")
    assert made.warnings[0].startswith("_redirects line 3")


@pytest.mark.parametrize(
    "line",
    [
        "/a", "/a b", "/a //evil", "/a javascript:x", "/a /b 999", "/a /b 301 Country=de", "http://x/a /b",
        "/a https://b/ 200", "/a /.netlify/functions/x 200", '/"] /b', '/a /b"c 404', "/a /b;c 404", "a=b /c",
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_left_out_with_its_line(line):
    made = read_redirects("# one\n" + line)
    assert made.rules == ()
    assert made.warnings[0].startswith("_redirects line 2: this rule does nothing here: ")


@pytest.mark.parametrize("status", ["200", "301"])
def test_no_target_holds_what_ends_or_changes_an_argument(status):
    target = rule(f'/a/* /b"\\$1%1${{HOME}}%{{ENV:X}}`;\x07/:splat {status}').target
    assert not {'"', "\\", "\x07"} & set(target)
    left = target.replace("%{ENV:STAGER_PERCENT}", "").replace("${stager_escape:$1}", "").removesuffix("/$1")
    assert "$" not in left
    assert "%" not in left


def test_headers_are_joined_and_escaped():
    made = read_headers("/*\n  # c\n  X-A: 1\n  x-a: 2\n  X-B: 50%\\n\n/b/:c\n\tLink: </x>; rel=preload\n")
    assert made.warnings == ()
    assert [(one.pattern, one.headers) for one in made.rules] == [
        ("^(?:/(.*))?$", (("X-A", "1, 2"), ("X-B", "50%%\\\\n"))),
        ("^/b/([^/]+)/?$", (("Link", "</x>; rel=preload"),)),
    ]


@pytest.mark.parametrize(
    "text",
    ["X-A: 1\n", "/a\n  no header\n", "/a\n  Content-Length: 5\n", "/a\n  X A: b\n",
     "/a\n  X: expr=1\n", "/a\n  X:\n", "/a\n  X: \x01\n",
     "http://x/\n  X: 1\n", "/a*b/\n  X: 1\n"],
)  # fmt: skip
def test_headers_that_cannot_be_sent_are_left_out_with_a_warning(text):
    made = read_headers(text)
    assert made.rules == ()
    assert len(made.warnings) == 1


def test_a_password_is_never_ignored():
    with pytest.raises(ConfigurationError) as caught:
        read_headers("/secret/*\n  Basic-Auth: me:pw\n")
    assert "_headers line 2" in caught.value.brief
    assert "pw" not in caught.value.brief.replace("passwords", "")
