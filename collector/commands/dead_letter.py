"""`spanhouse dead-letter list | show | retry | drop`: what becomes of spans that could not be stored."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from google.protobuf.message import DecodeError

from collector.cli import FAILED, OK, UserError
from collector.commands.configuration import configuration
from collector.pipeline.connections import dead_letters
from collector.replay.senders import Failed, Sender, connect
from exporters.dead_letters import DeadLetters, Entry
from exporters.otlp.json_body import to_document

_WORKSPACE_HEADER: Final = "x-workspace-id"
_DEFAULT_WORKSPACE: Final = "default"


def execute(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit status of `retry` is 0 only if all that it sent was accepted."""
    config = configuration(arguments.config)
    names = config.service.pipelines.traces.exporters
    places = [kept for name in names if (kept := dead_letters(name, config.exporters[name]))]
    try:
        found = [(place, entry) for place in places for entry in place.entries()]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}; ask as the user that the daemon runs as") from error
    match arguments.action:
        case "list":
            return _list([entry for _, entry in found], places)
        case "show":
            (chosen,) = _chosen(found, [arguments.id], everything=False)
            return _show(*chosen, protobuf=arguments.protobuf)
        case "retry":
            return asyncio.run(_retry(_chosen(found, arguments.ids, everything=arguments.all), arguments))
        case _:
            return _drop(_chosen(found, arguments.ids, everything=arguments.all))


def _chosen(
    found: Sequence[tuple[DeadLetters, Entry]], ids: Sequence[str], *, everything: bool
) -> list[tuple[DeadLetters, Entry]]:
    """The entries of these ids, or all. Raises UserError."""
    if everything == bool(ids):
        raise UserError("name the entries as `spanhouse dead-letter list` shows them, or give --all")
    by_id = {entry.id: (place, entry) for place, entry in found}
    for each in ids:
        if each not in by_id:
            raise UserError(f"there is no entry {each}; `spanhouse dead-letter list` shows what there is")
    return list(by_id.values()) if everything else [by_id[each] for each in ids]


def _list(entries: Sequence[Entry], places: Sequence[DeadLetters]) -> int:
    if not entries:
        # The daemon may have been started elsewhere, and mean another directory by the same name.
        where = " and ".join(str(place.directory.absolute()) for place in places)
        sys.stdout.write(f"no spans are set aside in {where}\n" if where else "no exporter sets spans aside\n")
    for entry in entries:
        sys.stdout.write(
            f"{entry.id}  {_when(entry)}  {entry.exporter}  {entry.workspace}  {entry.spans} spans  {entry.reason}\n"
        )
    return OK


def _show(place: DeadLetters, entry: Entry, *, protobuf: bool) -> int:
    body = place.request(entry)
    if protobuf:
        sys.stdout.buffer.write(body)
        return OK
    try:
        request = to_document(body)
    except DecodeError as error:
        raise UserError(f"the spans cannot be shown as JSON ({error}); --protobuf writes them as they are") from error
    shown = {
        "id": entry.id,
        "time": _when(entry),
        "exporter": entry.exporter,
        "workspace": entry.workspace,
        "spans": entry.spans,
        "reason": entry.reason,
        "error": entry.error,
        "request": request,
    }
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")
    return OK


async def _retry(chosen: Sequence[tuple[DeadLetters, Entry]], arguments: argparse.Namespace) -> int:
    """Send entries to a running collector; what it takes is no longer set aside."""
    sent = failed = 0
    for workspace in dict.fromkeys(entry.workspace for _, entry in chosen):
        headers = {} if workspace == _DEFAULT_WORKSPACE else {_WORKSPACE_HEADER: workspace}
        async with connect(arguments.protocol, arguments.endpoint, headers) as sender:
            for place, entry in chosen:
                if entry.workspace != workspace:
                    continue
                with place.claimed(entry) as request:
                    if request is None:
                        sys.stderr.write(f"{entry.id}: another command sends it, or it is gone\n")
                        continue
                    if await _is_taken(sender, request, entry):
                        sent += entry.spans
                        place.remove(entry)
                    else:
                        failed += entry.spans
    sys.stdout.write(f"{sent} spans sent, {failed} still set aside\n")
    return FAILED if failed else OK


async def _is_taken(sender: Sender, request: bytes, entry: Entry) -> bool:
    """Send the spans of an entry; whether all of them are taken."""
    try:
        return not await sender.send(request)
    except Failed as failure:
        sys.stderr.write(f"{entry.id}: {failure}\n")
        return False


def _drop(chosen: Sequence[tuple[DeadLetters, Entry]]) -> int:
    for place, entry in chosen:
        place.remove(entry)
    sys.stdout.write(f"{sum(entry.spans for _, entry in chosen)} spans dropped\n")
    return OK


def _when(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.time_unix_nano // 10**9, UTC).isoformat(timespec="seconds")
