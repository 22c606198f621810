"""Usage as one page of HTML that needs nothing else: no script, no font, no server."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from stager.launch.agent.history import Sample, cpu_shares
from stager.launch.agent.plots import CPU, DISK, FDS, MEMORY, TASKS, Point, Quantity, svg
from stager.launch.agent.records import InstanceRecord
from stager.model.frozen import dataclass

#: The policy forbids whatever a name of somebody's application might try to bring in.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"""
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1b1f24; --soft: #59636e;
  --grid: #dde1e6; --line: #0b63c5; --area: #0b63c522; --limit: #b3261e; --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #101418; --card: #191f26; --ink: #e6eaef;
  --soft: #9aa5b1; --grid: #2c353f; --line: #6cb2ff; --area: #6cb2ff26; --limit: #ff8a80; --good: #57d17c;
  --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; overflow-wrap: anywhere; }
p, .fine { color: var(--soft); margin: .2rem 0 0; }
.instance { background: var(--card); border-radius: 10px; padding: .9rem 1rem 1rem; margin: 0 0 1rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.state { font-weight: 600; } .running { color: var(--good); } .crashed, .backoff { color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: .8rem;
  margin-top: .8rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .87rem; } figcaption b { font-weight: 600; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
.grid { stroke: var(--grid); } .tick { stroke: var(--soft); } .mark, .unit { fill: var(--soft); }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; stroke-linejoin: round; }
.area { fill: var(--area); } .dot { fill: var(--line); } .hover { fill: transparent; }
.hover:hover { fill: var(--line); fill-opacity: .22; }
.limit { stroke: var(--limit); stroke-dasharray: 5 4; } .limit-name { fill: var(--limit); }
"""
_LEGEND = (
    "Of each interval the highest value is shown; where nobody watched there is no line. "
    "A dashed line is a limit."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """An instance, and what is known of its usage, oldest first."""

    record: InstanceRecord
    samples: Sequence[Sample]

    @property
    def name(self) -> str:
        return f"{self.record.name}/{self.record.index}"


def usage_page(instances: Iterable[Shown], *, title: str = "stager: usage", now: float | None = None) -> str:
    """The page, as text.

    Parameters
    ----------
    instances:
        In the order in which they are shown; those of one application follow each other.
    now:
        When it is made, in seconds since 1970.
    """
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    parts = [
        _HEAD,
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n",
        f"<p>As of {made}. Times are UTC. {_LEGEND}</p>\n",
    ]
    before = None
    for shown in instances:
        if shown.record.name != before:
            parts.append(f"<h2>{escape(shown.record.name)}</h2>\n")
            before = shown.record.name
        parts.append(_instance(shown))
    if before is None:
        parts.append("<p>There are no instances.</p>\n")
    parts.append("</body>\n</html>\n")
    # A name of an application may be any bytes; a lone surrogate is no character of a page.
    return "".join(parts).encode("utf-8", "replace").decode()


def _instance(shown: Shown) -> str:
    record = shown.record
    reason = f" ({escape(record.reason)})" if record.reason else ""
    facts = [f"id {record.id}", f"process {record.type}"]
    if record.port:
        facts.append(f"port {record.port}")
    if record.means:
        facts.append(f"limits by {record.means}")
    facts.append(f"{record.restarts} restarts")
    state = f'<span class="state {escape(record.state)}">{escape(record.state)}{reason}</span>'
    return (
        f'<section class="instance">\n<h3>{escape(shown.name)} {state}</h3>\n'
        f'<p class="fine">{escape(" · ".join(facts))}</p>\n{_plots(shown)}</section>\n'
    )


def _plots(shown: Shown) -> str:
    samples, limits = shown.samples, shown.record.limits
    if not samples:
        return '<p class="fine">Nothing was measured yet.</p>\n'
    moments = [sample.at for sample in samples]
    files = [(sample.at, float(sample.fds)) for sample in samples if sample.fds is not None]
    figures = [
        _figure(CPU, list(zip(moments[1:], cpu_shares(samples), strict=True)), None, shown.name),
        _figure(MEMORY, [(one.at, float(one.memory)) for one in samples], limits.memory, shown.name),
        _figure(DISK, [(one.at, float(one.disk)) for one in samples], limits.disk, shown.name),
        _figure(TASKS, [(one.at, float(one.tasks)) for one in samples], limits.processes, shown.name),
        _figure(FDS, files, limits.fds, shown.name),
    ]
    return f'<div class="plots">\n{"".join(figures)}</div>\n'


def _figure(quantity: Quantity, points: Sequence[Point], limit: int | None, subject: str) -> str:
    if not points:
        said = "not measured"
    else:
        most = max(value for _, value in points)
        said = f"{quantity.text(points[-1][1])}, at most {quantity.text(most)}"
        if limit:
            said += f" of {quantity.text(limit)}"
    caption = f"<figcaption><b>{escape(quantity.name)}</b> {escape(said)}</figcaption>"
    return f"<figure>{caption}{svg(quantity, points, limit, subject)}</figure>\n"
