"""The page of a report on runs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.report import own_sections, sections
from orbitconv.report.grouping import Kind, label
from orbitconv.report.html import document, facts_table, pairs, prose
from orbitconv.report.outcome import Outcome
from orbitconv.report.tables import result_table, run_table
from orbitconv.report.words import finding, heading, table_note

_ALWAYS: dict[str, Callable[[Outcome], Iterator[str]]] = {"Learning curves": sections.learning_curves}
_TESTED: dict[str, Callable[[Outcome], Iterator[str]]] = {
    "Error against the angle of the images": sections.angle_curves,
    "Equivariance, layer by layer": sections.layer_curves,
    "Filters of the first layer": sections.first_layer,
    "Which classes are taken for which": sections.confusions,
    "Surest mistakes": sections.mistakes,
}


_OWN: dict[str, Callable[[Outcome], Iterator[str]]] = {
    "Error against the angle of the pictures": own_sections.angle_curves,
    "Does the answer turn with the picture?": own_sections.changes,
    "Equivariance, layer by layer": own_sections.layer_curves,
    "Filters of the first layer": sections.first_layer,
    "Class by class": own_sections.classes,
    "The most wrong pictures": own_sections.examples,
}


def make_page(outcomes: Sequence[Outcome], record: Mapping[str, Any], progress: ProgressCallback = silent) -> str:
    """Write the page."""
    title = heading(outcomes)
    parts = [f"<header>\n<h1>{escape(title)}</h1>"]
    parts += [f'<p class="finding">{_about(outcome, outcomes)}{prose(finding(outcome))}</p>' for outcome in outcomes]
    parts.append("</header>")
    done, total = 0, sum(len(_sections(outcome)) for outcome in outcomes)
    for outcome in outcomes:
        if len(outcomes) > 1:
            parts.append(f'<h2 class="data">{escape(outcome.data)}</h2>')
        parts += [result_table(outcome), f'<p class="note">{prose(table_note(outcome))}</p>', _common(outcome.kinds)]
        parts.append(f"<details>\n<summary>Every run</summary>\n{run_table(outcome)}\n</details>")
        for words, make in _sections(outcome).items():
            progress("draw", done, total)
            parts.append(section(words, make(outcome)))
            done += 1
    progress("draw", done, total)
    parts.append(origin(record))
    return document(f"orbitconv: {title}", "\n".join(parts) + "\n", record)


def _sections(outcome: Outcome) -> dict[str, Callable[[Outcome], Iterator[str]]]:
    """The sections for which there are numbers, by heading."""
    return _ALWAYS | (_TESTED if outcome.images is not None else {}) | (_OWN if outcome.own else {})


def _about(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """Which data set a finding is about, if there are several."""
    return f"<strong>{escape(outcome.data)}:</strong> " if len(outcomes) > 1 else ""


def _common(kinds: Sequence[Kind]) -> str:
    """The settings that all kinds share."""
    shared = {label(name): words for name, words in kinds[0].settings.items() if name not in kinds[0].differing}
    whose = "What all networks have in common" if len(kinds) > 1 else "Settings"
    return f"<details>\n<summary>{whose}</summary>\n<p>{escape(pairs(shared))}</p>\n</details>"


def section(title: str, parts: Iterable[str]) -> str:
    """A section of a page."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{chr(10).join(parts)}\n</section>"


def origin(record: Mapping[str, Any]) -> str:
    """How the page was made, and where its numbers are."""
    facts = {
        "commit": record["commit"] or "not run from a checkout",
        "versions": pairs(record["versions"]),
        "machine": pairs(record["machine"]),
        "settings": pairs(record["config"]),
    }
    return section(
        "How this page was made",
        [
            f"<pre><code>{escape(record['command'])}</code></pre>",
            facts_table("Where the numbers come from", facts),
            "<p>Programs find every number of this page as JSON in its element <code>&lt;script "
            'type="application/json" id="record"&gt;</code>.</p>',
        ],
    )
