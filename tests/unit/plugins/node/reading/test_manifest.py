"""package.json: what is read from it, and what is said of one that cannot be read."""

import json
import random

import pytest

from stager.errors import ConfigurationError, StagerError
from stager.plugins.node.reading.manifest import read_package
from stager.source.tree import Tree


def tree(root, content):
    data = content if isinstance(content, bytes) else content.encode()
    (root / "package.json").write_bytes(data)
    return Tree.of_directory(root)


EXPRESS = """{
  "name": "shop",
  "version": "1.0.0",
  "private": true,
  "type": "module",
  "main": "./server.js",
  "packageManager": "pnpm@9.15.9",
  "engines": {"node": ">=18"},
  "scripts": {"start": "node server.js"},
  "dependencies": {"express": "^4.19.2"},
  "devDependencies": {"nodemon": "^3.0.0"},
  "optionalDependencies": {"fsevents": "2"},
  "workspaces": ["packages/*"]
}
"""


def test_every_part_is_read(tmp_path):
    package = read_package(tree(tmp_path, EXPRESS))
    assert (package.name, package.type, package.main) == ("shop", "module", "./server.js")
    assert package.package_manager == "pnpm@9.15.9"
    assert package.engines == {"node": ">=18"}
    assert package.scripts == {"start": "node server.js"}
    assert package.workspaces == ("packages/*",)
    assert package.has("express")
    assert package.has("nodemon")
    assert package.has("fsevents")
    assert not package.has("koa")
    assert package.keeps("express")
    assert not package.keeps("nodemon")
    assert package.constraint("express") == "^4.19.2"
    assert package.constraint("koa") == ""
    assert package.warnings == ()


def test_an_empty_object_is_a_package(tmp_path):
    package = read_package(tree(tmp_path, "{}"))
    assert (package.name, package.type, package.scripts, package.workspaces) == ("", "commonjs", {}, ())


def test_none_where_there_is_no_file(tmp_path):
    assert read_package(Tree.of_directory(tmp_path)) is None


def test_a_workspace_is_read_by_its_path(tmp_path):
    (tmp_path / "apps/web").mkdir(parents=True)
    (tmp_path / "apps/web/package.json").write_text('{"name": "web"}')
    package = read_package(Tree.of_directory(tmp_path), "apps/web/package.json")
    assert (package.name, package.folder) == ("web", "apps/web")


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        (
            '{\n  "name": "x",\n  "scripts": {\n    "start": "node x",\n  }\n}',
            "line 4, column 22",
            "a comma before }",
        ),
        ('{\n  "workspaces": ["a", "b",]\n}', "line 2, column 26", "a comma before ]"),
        ('{\n  // the name\n  "name": "x"\n}', "line 2, column 3", "a comment"),
        ('{"name": /* x */ "x"}', "line 1, column 10", "a comment"),
        ('{"a": 1,\n# no\n"b": 2}', "line 2, column 1", "a comment"),
        ("{'name': 'x'}", "line 1, column 2", "double quotes"),
        ('{"name": \u201cx\u201d}', "line 1, column 10", "straight double quotes"),
        ('{name: "x"}', "line 1, column 2", "double quotes"),
        ('{"a": "b"\n "c": "d"}', "line 1, column 10", "a comma"),
        ('{"a": {"b": 1}', "line 1, column 15", "ends here"),
        ("", "line 1, column 1", "empty"),
        (" \n ", "line 1, column 1", "empty"),
        ("[]", "line 1, column 1", "an object"),
        ('"x"', "line 1, column 1", "an object"),
        ("{}\n{}", "line 2, column 1", "nothing may follow"),
        ('{"a": "x\ny"}', "line 1", "does not end on its line"),
        ('{\n<<<<<<< HEAD\n"a": 1\n=======\n"a": 2\n>>>>>>> x\n}', "line 2, column 1", "merge conflict"),
        ('{"a": undefined}', "line 1, column 7", "double quotes"),
        (b'{"a": "\xff"}', "line 1, column 8", "UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "line 1", "UTF-16"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, content, place, says):
    with pytest.raises(ConfigurationError) as caught:
        read_package(tree(tmp_path, content))
    assert caught.value.brief == "package.json is not valid JSON."
    assert caught.value.details.startswith(f"package.json {place}")
    assert says in caught.value.details
    assert caught.value.exit_code == 10


def test_the_line_is_shown_with_a_mark(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_package(tree(tmp_path, '{\n  "a": 1,\n}\n'))
    assert caught.value.details.splitlines()[1:] == ['      "a": 1,', "    " + " " * 8 + "^"]


def test_a_minified_file_is_shown_around_the_place(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_package(tree(tmp_path, '{"a":"' + "x" * 5000 + '","b":oops}'))
    place, line, mark = caught.value.details.splitlines()
    assert "column 5013" in place
    assert len(line) < 120
    assert line[mark.index("^")] == "o"


@pytest.mark.parametrize(
    ("content", "brief", "place"),
    [
        ('{\n"scripts": []}', None, ""),
        ('{\n"scripts": "node x"}', "scripts is text, not a mapping of names to texts.", "line 2"),
        ('{\n"scripts": ["x"]}', "scripts is a list, not a mapping of names to texts.", "line 2"),
        ('{"x": {"start": 1},\n"scripts": {\n"start": 3}}', "scripts.start is a number, not text.", "line 3"),
        ('{\n"scripts": {"a": null}}', "scripts.a is null, not text.", "line 2"),
        ('{"dependencies":\n"express"}', "dependencies is text, not a mapping of names to texts.", "line 1"),
        (
            '{"devDependencies": {"x": {"version": "1"}}}',
            "devDependencies.x is a mapping, not text.",
            "line 1",
        ),
        ('{"dependencies": true}', "dependencies is true, not a mapping of names to texts.", "line 1"),
    ],
)
def test_a_part_of_another_type_is_named_with_its_line(tmp_path, content, brief, place):
    if brief is None:
        assert read_package(tree(tmp_path, content)).scripts == {}
        return
    with pytest.raises(ConfigurationError) as caught:
        read_package(tree(tmp_path, content))
    assert caught.value.brief == f"package.json: {brief}"
    assert caught.value.details.startswith(f"package.json {place}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"main": false}', "main is false"),
        ('{"name": ["x"]}', "name is a list"),
        ('{"engines": ["node >= 0.6"]}', "engines is a list"),
        ('{"engines": {"node": null}}', "engines says null of node"),
        ('{"workspaces": "packages/*"}', "workspaces is text"),
        ('{"packageManager": 3}', "packageManager is a number"),
        ('{"name": "a",\n"name": "b"}', "name is there more than once (lines 1, 2); the last counts."),
        ('{"scripts": {"a": "x",\n"a": "y"}}', "a is there more than once (lines 1, 2)"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
    ],
)
def test_what_npm_passes_over_is_a_warning(tmp_path, content, says):
    package = read_package(tree(tmp_path, content))
    assert len(package.warnings) == 1
    assert says in package.warnings[0]


@pytest.mark.parametrize(
    ("content", "engines"),
    [
        ('{"engines": {"node": 20}}', {"node": "20"}),
        ('{"engines": {"node": 18.5, "npm": "9"}}', {"node": "18.5", "npm": "9"}),
    ],
)
def test_a_version_may_be_a_number(tmp_path, content, engines):
    assert read_package(tree(tmp_path, content)).engines == engines


def test_workspaces_may_be_yarns(tmp_path):
    package = read_package(tree(tmp_path, '{"workspaces": {"packages": ["a", 3], "nohoist": ["b"]}}'))
    assert package.workspaces == ("a",)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"n": ' + "9" * 5000 + "}",
        '{"n": NaN}',
        '{"n": -Infinity}',
        "\0\0\0\0",
        "{" * 1000,
        '{"a"' + ":" * 1000,
    ],
)
def test_nonsense_is_an_error_of_ours(tmp_path, content):
    with pytest.raises(ConfigurationError):
        read_package(tree(tmp_path, content))


def test_half_a_surrogate_can_be_printed(tmp_path):
    package = read_package(tree(tmp_path, '{"name": "a\\ud800b", "scripts": {"start": "node \\udfff.js"}}'))
    assert package.name.encode() == b"a?b"
    assert package.scripts["start"].encode() == b"node ?.js"


def test_mutilated_files_end_well(tmp_path):
    random.seed(11)
    letters = "{}[]\",:\\/'\n \t0-truefalsnu\u201c\x00\x7f"
    survived = 0
    for _ in range(1500):
        text = list(EXPRESS)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(text))
            text[at : at + random.choice((0, 1, 9))] = random.choice(letters)
        try:
            read_package(tree(tmp_path, "".join(text)))
        except StagerError as error:
            assert error.details.encode()  # noqa: PT017  (most are fine)
            assert error.resolution  # noqa: PT017  (most are fine)
        else:
            survived += 1
    assert 0 < survived < 1500


def test_values_of_any_type_end_well(tmp_path):
    random.seed(5)
    values = [None, True, 0, -1.5, "", "x", [], ["x"], {}, {"a": "b"}, {"": ""}, {"a": None}, [[]], "\n", "é"]
    names = ["name", "scripts", "dependencies", "devDependencies", "optionalDependencies", "engines",
             "packageManager", "type", "main", "workspaces", "volta", "devEngines", "bin"]  # fmt: skip
    for _ in range(600):
        document = {name: random.choice(values) for name in random.sample(names, random.randrange(5))}
        try:
            package = read_package(tree(tmp_path, json.dumps(document)))
        except ConfigurationError as error:
            assert "package.json line 1" in error.details  # noqa: PT017  (some are fine)
        else:
            assert isinstance(package.name, str)
