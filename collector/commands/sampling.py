"""`spanhouse sampling dry-run -c FILE TRACES...`: what the samplers of a configuration would keep of stored requests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from collector.cli import OK, UserError
from collector.commands.configuration import configuration
from collector.replay.dry_run import Outcome, Tally, difference, dry_run
from collector.replay.files import files_of, requests_of

_EXAMPLES: Final = 10
"""So many traces are named of those that only one of two configurations keeps."""
_TRACE_ID_BYTES: Final = 16


def execute(arguments: argparse.Namespace) -> int:
    """Say what would be kept; nothing is sent or stored."""
    asked = None if arguments.explain is None else _trace_id(arguments.explain)
    files = [file for path in arguments.files for file in files_of(path)]
    outcomes = [_outcome(path, files, asked) for path in (arguments.config, *([arguments.against] if arguments.against else []))]
    if arguments.json:
        report = [_as_json(outcome, asked) for outcome in outcomes]
        document = report[0] if len(report) == 1 else {"first": report[0], "second": report[1], **_difference_as_json(*outcomes)}
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return OK
    for path, outcome in zip((arguments.config, arguments.against), outcomes, strict=False):
        sys.stdout.write(f"{path}\n" + "".join(f"  {line}\n" for line in _as_text(outcome, arguments.explain)))
    if len(outcomes) > 1:
        sys.stdout.write("difference\n" + "".join(f"  {line}\n" for line in _difference_as_text(*outcomes)))
    return OK


def _trace_id(text: str) -> bytes:
    try:
        trace_id = bytes.fromhex(text)
    except ValueError:
        trace_id = b""
    if len(trace_id) != _TRACE_ID_BYTES:
        raise UserError(f"--explain must be a trace id of {2 * _TRACE_ID_BYTES} hexadecimal digits, found {text!r}")
    return trace_id


def _outcome(path: Path, files: Sequence[Path], asked: bytes | None) -> Outcome:
    return dry_run(configuration(path), (request.body for request in requests_of(files, move_to_now=False)), asked)


def _table(title: str, rows: Iterable[tuple[str, Tally]]) -> list[str]:
    named = [(name or "(none)", tally) for name, tally in rows]
    width = max([len(title), *(len(name) for name, _ in named)])
    lines = [f"{title:<{width}}  {'spans':>9}  {'kept':>9}  {'traces':>9}  {'kept':>9}"]
    for name, tally in named:
        counts = tally.spans, tally.kept_spans, len(tally.traces), len(tally.kept_traces)
        lines.append(f"{name:<{width}}" + "".join(f"  {count:>9,}" for count in counts))
    return lines


def _as_text(outcome: Outcome, asked: str | None) -> list[str]:
    lines = _table("service", [*sorted(outcome.services.items()), ("all", outcome.total)])
    if outcome.policies:
        lines += ["", *_table("decided by", sorted(outcome.policies.items()))]
    dropped = [(name, reason, spans) for name, reasons in outcome.dropped.items() for reason, spans in sorted(reasons.items())]
    if dropped:
        lines += ["", "dropped"]
        lines += [f"{spans:>9,}  by {name}{f' ({reason})' if reason else ''}" for name, reason, spans in dropped]
    if outcome.skipped:
        lines += ["", f"left out, since they ask a store: {', '.join(outcome.skipped)}"]
    if asked is not None:
        lines += ["", f"trace {asked}", *_explanation(outcome)]
    return lines


def _explanation(outcome: Outcome) -> list[str]:
    lines = [f"  {spans} spans dropped by {name}" for name, spans in outcome.asked_dropped.items() if spans]
    for vote in outcome.votes:
        verdict = "kept" if vote.kept else "dropped"
        text = f"  {vote.spans} spans {verdict} by {vote.reason}"
        if vote.late:
            lines.append(f"{text}, as was decided before they came")
            continue
        voters = ", ".join(vote.is_for) or "no policy"
        lines.append(f"{text}; for it: {voters}{_share(vote.probability) if vote.kept else ''}")
    return lines or ["  nothing was decided about it"]


def _share(probability: float | None) -> str:
    return (
        "; the share of such traces that is kept is not known"
        if probability is None
        else f"; of such traces {probability:.4%} are kept"
    )


def _difference_as_text(one: Outcome, other: Outcome) -> list[str]:
    traces = difference(one, other)
    lines = [f"{len(traces['both']):>9,}  traces are kept by both"]
    for side, name in (("first", "first"), ("second", "second")):
        lines.append(f"{len(traces[side]):>9,}  by the {name} alone")
        lines += [f"{'':>9}  {trace_id.hex()}" for trace_id in sorted(traces[side])[:_EXAMPLES]]
    lines.append(f"{other.total.kept_spans - one.total.kept_spans:>+9,}  spans kept")
    for service in sorted({*one.services, *other.services}):
        change = other.services[service].kept_spans - one.services[service].kept_spans
        if change:
            lines.append(f"{change:>+9,}  of {service or '(none)'}")
    return lines


def _tally_as_json(tally: Tally) -> Mapping[str, int]:
    return {
        "spans": tally.spans,
        "kept_spans": tally.kept_spans,
        "traces": len(tally.traces),
        "kept_traces": len(tally.kept_traces),
    }


def _as_json(outcome: Outcome, asked: bytes | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "total": _tally_as_json(outcome.total),
        "services": {name: _tally_as_json(tally) for name, tally in sorted(outcome.services.items())},
        "policies": {name: _tally_as_json(tally) for name, tally in sorted(outcome.policies.items())},
        "dropped": {name: dict(sorted(reasons.items())) for name, reasons in outcome.dropped.items()},
        "skipped": outcome.skipped,
    }
    if asked is not None:
        votes = [{name: getattr(vote, name) for name in vote.__slots__} for vote in outcome.votes]
        document["trace"] = {"id": asked.hex(), "decisions": votes, "dropped": dict(+outcome.asked_dropped)}
    return document


def _difference_as_json(one: Outcome, other: Outcome) -> dict[str, Any]:
    return {
        "traces": {side: len(traces) for side, traces in difference(one, other).items()},
        "examples": {
            side: [trace_id.hex() for trace_id in sorted(traces)[:_EXAMPLES]]
            for side, traces in difference(one, other).items()
            if side != "both"
        },
    }
