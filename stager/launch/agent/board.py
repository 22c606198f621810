"""Usage as a table for a terminal of any width."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stager.launch.agent.history import Sample, cpu_shares
from stager.launch.agent.page import Shown
from stager.launch.agent.plots import CPU, DISK, MEMORY, lately, sparkline
from stager.launch.agent.records import ALIVE
from stager.model.frozen import dataclass

_GAP = "  "
_NOTHING = "-"
#: Columns of a higher rank make room for so much of the history.
_BEFORE_LINE, _RESERVED = 5, 18
#: The history takes what is left between these.
_LEAST_LINE, _MOST_LINE = 6, 60
#: Older than this, a sample says nothing about now: nobody watches any more.
_STALE_SECONDS = 15.0
#: What the lines show; five samples make one block where there are 60 of them.
_LATELY = 600.0


@dataclass(frozen=True, slots=True)
class _Column:
    """``rank``: the higher it is, the earlier the column is left out where there is no room."""

    title: str
    rank: int
    cells: tuple[str, ...]
    is_number: bool = False

    @property
    def width(self) -> int:
        return max(len(text) for text in (self.title, *self.cells))

    def cell(self, row: int) -> str:
        text = self.title if row < 0 else self.cells[row]
        return text.rjust(self.width) if self.is_number else text.ljust(self.width)


def board(shown: Sequence[Shown], width: int = 80, *, is_plain: bool = False) -> list[str]:
    """Lines of at most ``width`` characters: a title, and one line an instance.

    What does not fit is left out, the least important first. ``is_plain`` is for terminals without UTF-8.
    """
    if not shown:
        return ["There are no instances."[:width]]
    columns = _columns(shown, width, is_plain=is_plain)
    while len(columns) > 1:
        last = max(columns, key=lambda column: column.rank)
        if _total(columns) + (_RESERVED if last.rank > _BEFORE_LINE else 0) <= width:
            break
        columns.remove(last)
    room = width - _total(columns)
    memory, cpu = _lines(shown, room, is_plain=is_plain)
    for title, cells, after in (("MEMORY, 10 MIN", memory, "MEMORY"), ("CPU, 10 MIN", cpu, "CPU")):
        if cells:
            place = next((n for n, column in enumerate(columns) if column.title == after), None)
            if place is not None:
                short = title if max(map(len, cells)) >= len(title) else "10 MIN"
                columns.insert(place + 1, _Column(short, 0, cells))
    rows = (_GAP.join(column.cell(row) for column in columns) for row in range(-1, len(shown)))
    return [_cut(row.rstrip(), width, is_plain=is_plain) for row in rows]


def _columns(shown: Sequence[Shown], width: int, *, is_plain: bool) -> list[_Column]:
    latest = [_latest(one) for one in shown]
    limits = [one.record.limits for one in shown]
    pairs = list(zip(latest, limits, strict=True))
    # A name may have 100 characters, and one that says nothing else is of no use.
    names = tuple(_cut(one.name, max(8, min(24, width // 4)), is_plain=is_plain) for one in shown)
    return [
        _Column("INSTANCE", 0, names),
        _Column("ID", 8, tuple(one.record.id[:8] for one in shown)),
        _Column("STATE", 2, tuple(_state(one) for one in shown)),
        _number("CPU", 3, [_cpu(one, now) for one, now in zip(shown, latest, strict=True)]),
        _number("MEMORY", 1, [MEMORY.text(now.memory) if now else _NOTHING for now in latest]),
        _number("OF", 4, [MEMORY.text(limit.memory) for limit in limits]),
        _number("DISK", 5, [DISK.text(now.disk) if now else _NOTHING for now in latest]),
        _number("TASKS", 6, [f"{now.tasks}/{of.processes}" if now else _NOTHING for now, of in pairs]),
        _number("FDS", 7, [_fds(now, of.fds) for now, of in pairs]),
    ]


def _number(title: str, rank: int, cells: Sequence[str]) -> _Column:
    return _Column(title, rank, tuple(cells), is_number=True)


def _latest(shown: Shown) -> Sample | None:
    """What is true now; nothing of an instance that has ended, or that nobody watches."""
    if not shown.samples or shown.record.state not in ALIVE:
        return None
    latest = shown.samples[-1]
    return latest if time.time() - latest.at < _STALE_SECONDS else None


def _state(shown: Shown) -> str:
    record = shown.record
    return f"{record.state} ({record.reason})" if record.reason else record.state


def _cpu(shown: Shown, now: Sample | None) -> str:
    shares = cpu_shares(shown.samples[-2:])
    return CPU.text(shares[-1]) if now and shares else _NOTHING


def _fds(now: Sample | None, limit: int) -> str:
    return _NOTHING if now is None or now.fds is None else f"{now.fds}/{limit}"


def _lines(shown: Sequence[Shown], room: int, *, is_plain: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Memory lately, and where there is room for both, the processor: full is at the limit, or one core."""
    each = min(_MOST_LINE, room // 2 - len(_GAP))
    is_room_for_both = each >= _LEAST_LINE
    if not is_room_for_both:
        each = min(_MOST_LINE, room - len(_GAP))
    if each < _LEAST_LINE:
        return (), ()
    memory, cpu = [], []
    for one in shown:
        points = [(sample.at, float(sample.memory)) for sample in one.samples]
        values = lately(points, each, _LATELY)
        memory.append(sparkline(values, each, one.record.limits.memory, is_plain=is_plain))
        shares = list(zip((at for at, _ in points[1:]), cpu_shares(one.samples), strict=True))
        cpu.append(sparkline(lately(shares, each, _LATELY), each, 1.0, is_plain=is_plain))
    return tuple(memory), tuple(cpu) if is_room_for_both else ()


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _cut(line: str, width: int, *, is_plain: bool) -> str:
    if len(line) <= width:
        return line
    return line[: max(0, width - 1)] + ("~" if is_plain else "…") if width else ""
