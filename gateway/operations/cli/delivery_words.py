"""Deliveries, destinations and corrections in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model import Change
from gateway.transport.desk import Destination, Shown, Waiting

SHOWN_CHANGES = 20
"""Places of a correction that a person is told."""


def works(each: Destination) -> bool:
    return not each.failures and each.paused_at is None


def destination_line(each: Destination) -> str:
    told = [f"{each.destination}  {each.state}"]
    if each.failures and each.probe_at is not None:
        tried = f"tried again {each.probe_at:%Y-%m-%d %H:%M:%S}"
        told.append(f" after {each.failures} failures, {tried}: {each.error}")
    if each.paused_at is not None:
        told.append(f"; paused {each.paused_at:%Y-%m-%d %H:%M:%S} by {each.paused_by}: {each.paused_for}")
    if each.due or each.dead:
        told.append(f"; {each.due} due, {each.dead} dead")
    return "".join(told)


def delivery_lines(each: Waiting) -> Iterator[str]:
    when = f" next {each.due_at:%Y-%m-%d %H:%M:%S}" if each.state == "due" else ""
    yield f"{each.id}  {each.state:4} {each.destination} attempts {each.attempts}{when}"
    if each.error:
        yield f"  {each.error}"
    if each.behind:
        yield f"  waits behind {each.behind}"


def whole(shown: Shown) -> Iterator[str]:
    yield from delivery_lines(shown.delivery)
    carries = shown.carries
    if carries is not None:
        whose = f" of {carries.partner}" if carries.partner else ""
        named = f" {carries.type} {carries.reference}".rstrip()
        yield f"  carries {carries.what}{named}{whose}, about {carries.about}, {carries.octets} octets"
    for edited in shown.corrections:
        yield f"  {edited.number}. {edited.how.value} {edited.at:%Y-%m-%d %H:%M:%S} by {edited.who}: {edited.why}"
        if edited.address:
            yield f"     to {edited.address}"
        for place in edited.places[:SHOWN_CHANGES]:
            yield f"     {place}"
    for act in shown.history:
        yield f"  {act.at:%Y-%m-%d %H:%M:%S} {act.what} {act.note}".rstrip()


def changed(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes[:SHOWN_CHANGES]:
        yield f"  {change.pointer}: {_text(change.before)} -> {_text(change.after)}"
    if len(changes) > SHOWN_CHANGES:
        yield f"  ... and {len(changes) - SHOWN_CHANGES} more"


def _text(text: str | None) -> str:
    return "nothing" if text is None else f"{text!r}"
