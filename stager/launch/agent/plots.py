"""Usage as pictures: one line of blocks for a terminal, and SVG for a page."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from stager.model.frozen import dataclass

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.:-=+*#"
#: One point each three or four pixels; more of them only make the page larger.
_MOST_POINTS = 90
#: Pixels of a plot, and of the room for its axes.
_WIDTH, _HEIGHT = 380, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 22, 26
_STEPS_OF_TIME = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_BYTES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_MINUTE = 60

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is measured: its name, its unit (empty for a number of things), and how many one of it is.

    ``is_bytes`` gives it the unit of its size; ``factor`` is what a value is multiplied with.
    """

    name: str
    unit: str = ""
    is_bytes: bool = False
    factor: float = 1.0

    def scale(self, most: float) -> tuple[float, str]:
        """What a value is divided by for an axis that reaches ``most``, and the unit of the quotient."""
        if self.is_bytes:
            return next(((size, unit) for size, unit in _BYTES if most >= size), (1, "bytes"))
        return 1 / self.factor, self.unit

    def text(self, value: float) -> str:
        """A value with its unit, such as ``12.4 MiB`` or ``7 %``."""
        divisor, unit = self.scale(value)
        number = value / divisor
        digits = 1 if self.is_bytes and divisor > 1 and number < 100 else 0  # noqa: PLR2004  (three digits in all)
        return f"{number:.{digits}f} {unit}".replace(".0 ", " ").rstrip()


CPU = Quantity("Processor", "%", factor=100.0)
MEMORY = Quantity("Memory", is_bytes=True)
DISK = Quantity("Disk", is_bytes=True)
TASKS = Quantity("Processes and threads")
FDS = Quantity("Open files")


def sparkline(values: Sequence[float], width: int, most: float = 0.0, *, is_plain: bool = False) -> str:
    """The last values as blocks of different height, ``width`` at most.

    Parameters
    ----------
    most:
        What fills a block; 0 for the largest of the values.
    is_plain:
        Only ASCII.
    """
    signs = _PLAIN if is_plain else _BLOCKS
    shown = [max(0.0, value) for value in values[-width:]] if width > 0 else []
    top = most or max(shown, default=0.0)
    if top <= 0:
        return signs[0] * len(shown)
    last = len(signs) - 1
    return "".join(signs[min(last, math.ceil(value / top * last - 0.5))] for value in shown)


def thin(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most so many points: of each stretch of time the highest, for a peak is what one looks for."""
    if len(points) <= most:
        return list(points)
    start, end = points[0][0], points[-1][0]
    highest: dict[int, Point] = {}
    for point in points:
        place = min(most - 1, int((point[0] - start) / (end - start or 1) * most))
        if place not in highest or point[1] > highest[place][1]:
            highest[place] = point
    return sorted(highest.values())


def lately(points: Sequence[Point], count: int, seconds: float) -> list[float]:
    """The values of the last ``seconds`` for a line of so many blocks: of each stretch the highest."""
    since = points[-1][0] - seconds if points else 0.0
    recent = [point for point in points if point[0] >= since]
    return [value for _, value in thin(recent, count)] if count > 0 else []


def steps(most: float, wanted: int = 4, least: float = 0.0) -> list[float]:
    """Round numbers from 0 to at least ``most`` for an axis; nearer than ``least`` none to another."""
    if most <= 0 or not math.isfinite(most):
        return [0.0, 1.0]
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, least)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def times(start: float, end: float, wanted: int = 5) -> list[float]:
    """Round moments between two, in seconds since 1970."""
    step = next((one for one in _STEPS_OF_TIME if (end - start) / one <= wanted), _STEPS_OF_TIME[-1])
    first = math.ceil(start / step) * step
    return [float(moment) for moment in range(int(first), int(end) + 1, step)][: 2 * wanted]


def runs(points: Sequence[Point]) -> list[list[Point]]:
    """The points, cut where nobody watched: a line there would say what nobody knows."""
    if not points:
        return []
    gaps = [after[0] - before[0] for before, after in pairwise(points)]
    widest = max(10.0, 4 * statistics.median(gaps)) if gaps else 0.0
    found = [[points[0]]]
    for gap, point in zip(gaps, points[1:], strict=True):
        if gap > widest:
            found.append([])
        found[-1].append(point)
    return found


def svg(quantity: Quantity, points: Sequence[Point], limit: float | None = None, subject: str = "") -> str:
    """One plot: a figure with axes, units, the limit where it is in reach, and what hovering tells.

    Parameters
    ----------
    points:
        Seconds since 1970, and values.
    limit:
        Drawn as a line unless it is more than three times of what was used.
    subject:
        Whose it is, for those who cannot see it.
    """
    shown = thin(points)
    highest = max((value for _, value in shown), default=0.0)
    is_limit_near = limit is not None and 0 < limit <= 3 * highest
    most = max(highest, limit or 0.0) if is_limit_near else highest
    divisor, unit = quantity.scale(most)
    # There is no half a process.
    marks = [mark * divisor for mark in steps(most / divisor, least=0.0 if unit else 1.0)]
    start, end = (shown[0][0], shown[-1][0]) if shown else (0.0, 1.0)
    if end - start < 1:
        start = end - 1

    def across(moment: float) -> float:
        return _LEFT + (moment - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / marks[-1] * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_axes(marks, divisor, (start, end), across, up)]
    if is_limit_near and limit is not None:
        parts.append(
            f"{_rule('limit', up(limit))}"
            f'<text class="limit-name" x="{_WIDTH - _RIGHT}" y="{up(limit) - 3:.1f}" text-anchor="end">'
            f"limit {escape(quantity.text(limit))}</text>"
        )
    parts += [_line(run, across, up) for run in runs(shown)]
    parts.append(_hovers(quantity, shown, across))
    label = _label(quantity, shown, limit, subject)
    axis = f'<text class="unit" x="{_LEFT - 6}" y="9" text-anchor="end">{escape(unit)}</text>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{axis}{''.join(parts)}</svg>"
    )


def clock(moment: float, *, with_seconds: bool = False) -> str:
    """The time of the day, UTC."""
    return time.strftime("%H:%M:%S" if with_seconds else "%H:%M", time.gmtime(moment))


def _axes(
    marks: Sequence[float],
    divisor: float,
    span: Point,
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> str:
    parts = []
    for mark in marks:
        y = up(mark)
        parts.append(
            f'{_rule("grid", y)}<text class="mark" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">'
            f"{mark / divisor:g}</text>"
        )
    is_short = span[1] - span[0] < 4 * _MINUTE
    bottom = _HEIGHT - _BOTTOM
    for moment in times(*span):
        x = across(moment)
        parts.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text class="mark" x="{min(x, _WIDTH - 16):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
            f"{clock(moment, with_seconds=is_short)}</text>"
        )
    return "".join(parts)


def _rule(name: str, y: float) -> str:
    return f'<line class="{name}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _line(run: Sequence[Point], across: Callable[[float], float], up: Callable[[float], float]) -> str:
    path = " ".join(f"{across(moment):.1f},{up(value):.1f}" for moment, value in run)
    first, last = across(run[0][0]), across(run[-1][0])
    if len(run) == 1:
        return f'<circle class="dot" cx="{first:.1f}" cy="{up(run[0][1]):.1f}" r="2"/>'
    area = f"{first:.1f},{up(0):.1f} {path} {last:.1f},{up(0):.1f}"
    return f'<polygon class="area" points="{area}"/><polyline class="line" points="{path}"/>'


def _hovers(quantity: Quantity, points: Sequence[Point], across: Callable[[float], float]) -> str:
    """An invisible bar around each point, which tells its value."""
    parts = []
    places = [across(moment) for moment, _ in points]
    for number, (moment, value) in enumerate(points):
        left = (places[number - 1] + places[number]) / 2 if number else _LEFT
        right = (places[number] + places[number + 1]) / 2 if number + 1 < len(points) else _WIDTH - _RIGHT
        parts.append(
            f'<rect class="hover" x="{left:.1f}" y="{_TOP}" width="{max(0.1, right - left):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"><title>{clock(moment, with_seconds=True)} UTC: '
            f"{escape(quantity.text(value))}</title></rect>"
        )
    return "".join(parts)


def _label(quantity: Quantity, points: Sequence[Point], limit: float | None, subject: str) -> str:
    of = f" of {subject}" if subject else ""
    if not points:
        return f"{quantity.name}{of}: nothing was measured"
    most = max(value for _, value in points)
    said = f"{quantity.name}{of}: {quantity.text(points[-1][1])} last, {quantity.text(most)} at most"
    return said if limit is None else f"{said}, limit {quantity.text(limit)}"
