import os
import re
import shutil
import struct
import subprocess
import time
import zlib
from html.parser import HTMLParser

import pytest

from stager.launch.agent.board import board
from stager.launch.agent.history import Sample
from stager.launch.agent.page import Shown, usage_page
from stager.launch.agent.plots import CPU, FDS, MEMORY, lately, runs, sparkline, steps, svg, thin, times
from stager.launch.agent.records import InstanceLimits, InstanceRecord

MIB = 1 << 20
VOID = {"meta"}
HOSTILE = "a\"'><script>alert(1)</script>&amp;\udcff"


def shown(name="shop", index=0, count=120, state="running", memory=300 * MIB, **fields):
    now = time.time()
    samples = [
        Sample(now - 2 * (count - n), n * 0.8, memory + n * MIB // 4, 3 * MIB, 4, 6, 20 + n % 3)
        for n in range(count)
    ]
    record = InstanceRecord(name, index, f"{index}abcdef012", state=state, means="cgroup1", **fields)
    return Shown(record, samples)


def test_a_line_of_blocks_rises_with_its_values():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 50, 100, 250], 8, 100) == "▁▄██"
    assert sparkline([1, 2, 3, 4], 2, 4) == "▆█"
    assert sparkline([5, 5], 4, 10, is_plain=True) == "--"


@pytest.mark.parametrize("values", [[], [0], [0.0, 0.0], [-1, 0]])
def test_a_line_of_nothing_is_flat(values):
    assert sparkline(values, 5) == "▁" * len(values)
    assert sparkline(values, 0) == ""


def test_what_is_thinned_out_keeps_its_peak_and_its_order():
    points = [(float(n), 1.0) for n in range(1000)]
    points[501] = (501.0, 9.0)
    found = thin(points, 50)
    assert len(found) <= 50
    assert (501.0, 9.0) in found
    assert found == sorted(found)
    assert thin(points[:20], 50) == points[:20]


def test_lately_is_the_last_stretch_of_time():
    points = [(float(n), float(n)) for n in range(100)]
    assert lately(points, 100, 9.0) == [float(n) for n in range(90, 100)]
    assert lately([], 5, 9.0) == []
    assert lately(points, 0, 9.0) == []


@pytest.mark.parametrize("most", [0.003, 0.7, 1, 7, 99.9, 100, 101, 512, 8e9])
def test_marks_are_few_round_and_reach_the_top(most):
    marks = steps(most)
    assert marks[0] == 0
    assert marks[-1] >= most * 0.9999
    assert 3 <= len(marks) <= 6
    assert all(
        len(f"{mark:.6g}".strip("0.").replace(".", "").split("e")[0].rstrip("0")) <= 2 for mark in marks
    )


@pytest.mark.parametrize("most", [0, -1, float("nan"), float("inf")])
def test_nothing_has_marks_all_the_same(most):
    assert steps(most) == [0.0, 1.0]


def test_moments_are_round_and_within():
    found = times(1_000_003.0, 1_003_600.0)
    assert all(moment % 900 == 0 for moment in found)
    assert 3 <= len(found) <= 5


def test_a_line_is_cut_where_nobody_watched():
    points = [(float(n), 1.0) for n in (0, 2, 4, 6, 40, 42, 44)]
    assert [len(run) for run in runs(points)] == [4, 3]
    assert runs([]) == []


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (MEMORY, 512 * MIB, "512 MiB"),
        (MEMORY, 12.4 * MIB, "12.4 MiB"),
        (MEMORY, 1.5 * 1024 * MIB, "1.5 GiB"),
        (MEMORY, 512, "512 bytes"),
        (MEMORY, 0, "0 bytes"),
        (CPU, 0.074, "7 %"),
        (FDS, 23, "23"),
    ],
)
def test_values_have_their_units(quantity, value, text):
    assert quantity.text(value) == text


def test_a_plot_has_axes_with_units_and_tells_each_value():
    points = [(1_000_000.0 + 2 * n, n * MIB) for n in range(60)]
    found = svg(MEMORY, points, 64 * MIB, "shop/0")
    assert ">MiB</text>" in found
    assert re.findall(r'class="mark"[^>]*>(\d+)</text>', found) == ["0", "20", "40", "60", "80"]
    assert found.count("<title>") == 60
    assert "<title>13:46:40 UTC: 0 bytes</title>" in found
    assert "limit 64 MiB" in found
    assert 'aria-label="Memory of shop/0: 59 MiB last, 59 MiB at most, limit 64 MiB"' in found


def test_a_limit_that_is_far_away_does_not_flatten_the_plot():
    points = [(1_000_000.0 + 2 * n, MIB) for n in range(9)]
    assert 'class="limit"' not in svg(MEMORY, points, 512 * MIB)
    assert "limit 512 MiB" in svg(MEMORY, points, 512 * MIB)


@pytest.mark.parametrize("points", [[], [(5.0, 1.0)], [(5.0, 0.0), (5.0, 0.0)], [(9.0, 1.0), (7.0, 2.0)]])
def test_a_plot_of_little_is_a_plot(points):
    found = svg(CPU, points)
    assert found.startswith("<svg")
    assert "nan" not in found


class Page(HTMLParser):
    """Fails on tags that do not match; remembers attributes and texts."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(text):
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_needs_nothing_else():
    page = parse(usage_page([shown(), shown(index=1, state="crashed", reason="memory")]))
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "style", "onload", "onclick", "action"}
    assert not [value for _, value in page.attributes if value and "://" in value]
    assert not [text for text in page.texts if "@import" in text or "url(" in text]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert page.tags.count("svg") == 10
    assert "crashed (memory)" in page.texts


def test_whatever_a_record_holds_is_text_on_the_page():
    page = parse(usage_page([shown(HOSTILE, state="crashed", reason=HOSTILE, type=HOSTILE)], title=HOSTILE))
    assert "script" not in page.tags
    assert sum("<script>alert(1)</script>" in text for text in page.texts) >= 5
    usage_page([shown(HOSTILE)]).encode()


def test_a_page_without_instances_or_samples_says_so():
    assert "There are no instances." in usage_page([])
    assert "Nothing was measured yet." in usage_page([shown(count=0)])
    assert "not measured" in usage_page(
        [Shown(shown().record, [Sample(1.0, fds=None), Sample(3.0, fds=None)])]
    )


def test_a_page_of_fifty_instances_of_an_hour_stays_small():
    assert len(usage_page([shown(index=n, count=1800) for n in range(50)])) < 6 * MIB


@pytest.mark.parametrize("width", [*range(1, 60), 80, 100, 120, 200, 400])
@pytest.mark.parametrize("is_plain", [False, True])
def test_no_line_of_the_table_is_wider_than_the_terminal(width, is_plain):
    several = [
        shown(),
        shown("a-very-long-name-of-an-application" * 3, 12, state="crashed", reason="not-ready"),
        shown(index=1, count=0, limits=InstanceLimits(memory=64 * MIB)),
    ]
    lines = board(several, width, is_plain=is_plain)
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    assert not is_plain or all(line.isascii() for line in lines)


def test_the_table_says_what_is_true_now_and_nothing_of_who_is_gone():
    several = [shown(), shown(index=1, state="crashed", reason="memory")]
    title, running, crashed = board(several, 200)
    assert title.split()[:4] == ["INSTANCE", "ID", "STATE", "CPU"]
    assert re.search(
        r"shop/0 +0abcdef0 +running +40 % .* 330 MiB .* 512 MiB +3 MiB +6/512 +\d+/1024$", running
    )
    assert re.search(r"shop/1 .*crashed \(memory\) +- .* - .* 512 MiB +- +- +-$", crashed)
    old = Shown(several[0].record, [Sample(time.time() - 60, 1.0, MIB)])
    assert "MiB  " not in board([old], 200)[1].replace("512 MiB", "")


def test_the_table_draws_lately_where_there_is_room():
    assert "▅" in board([shown()], 200)[1]
    assert "▅" in board([shown()], 80)[1]
    assert board([], 40) == ["There are no instances."]


def test_a_browser_draws_the_page_in_light_and_in_dark(tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium here; the page was parsed all the same")
    (tmp_path / "page.html").write_text(usage_page([shown(HOSTILE), shown(index=1)]), encoding="utf-8")
    found = {}
    for scheme, number in (("light", 1), ("dark", 0)):
        picture = tmp_path / f"{scheme}.png"
        argv = [
            chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--window-size=700,600", f"--blink-settings=preferredColorScheme={number}",
            f"--user-data-dir={tmp_path / scheme}", f"--screenshot={picture}",
            f"file://{tmp_path / 'page.html'}",
        ]  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
        subprocess.run(argv, check=True, capture_output=True, timeout=60, env=environment)
        found[scheme] = colours(picture.read_bytes())
    # Paper, the line of a plot, and the dashed one of the limit on memory, as the style says.
    assert {"ffffff", "0b63c5", "b3261e"} <= found["light"]
    assert {"101418", "6cb2ff", "ff8a80"} <= found["dark"]
    assert not found["light"] & {"101418"}


def colours(png):
    """The colours that a picture has, by their six digits; enough of PNG for what chromium writes."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    size = {2: 3, 6: 4}[kind]
    place, packed = 8, b""
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            packed += png[place + 8 : place + 8 + length]
        place += 12 + length
    data = zlib.decompress(packed)
    stride = width * size
    above, found = bytearray(stride), set()
    for row in range(height):
        start = row * (stride + 1)
        line = unfiltered(data[start], bytearray(data[start + 1 : start + 1 + stride]), above, size)
        found.update(bytes(line[x : x + 3]) for x in range(0, stride, size))
        above = line
    return {colour.hex() for colour in found}


def unfiltered(kind, line, above, size):
    for x in range(len(line)):
        left = line[x - size] if x >= size else 0
        up, corner = above[x], above[x - size] if x >= size else 0
        guess = left + up - corner
        paeth = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[
            2
        ]
        line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
    return line
