"""Verdicts on the odd interchanges: ours beside those of other parsers, in one run.

    python -m bench.edifact_peers [--cache FOLDER] [--say] [--json]

The interchanges are those of tests/samples/odd, with what is right to do in their table.  "right": accepted,
and its text read exactly, where it must be; refused, or (where that is enough) told, where it must be.
"accepted wrongly": nothing was said of a defect.  "crash": an exception that the parser does not document,
or no result within bounds.  Names of files from 50 on are about contents: bots and ours have directories,
pydifact and npm edifact have none of these messages.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.edifact_peers import Bounds, Failed, Peer, installed, run
from bench.edifact_peers.peers import OURS, PEERS
from tests.syntax import odd

FIFTEEN = 15
CONTENTS = "50"  # names from here on
VERDICTS = ("right", "accepted wrongly", "refused wrongly", "misread", "crash")


def verdict(case: odd.Odd, answer: Mapping[str, object]) -> str:
    """One of VERDICTS, for what a parser made of an interchange."""
    made = answer["verdict"]
    if made == "crash":
        return "crash"
    if case.right == "accept":
        wrong = "misread" if answer.get("misread") else "right"
        return "refused wrongly" if made == "refused" else wrong
    told = made == "refused" or (case.right == "tell" and bool(answer["said"]))
    return "right" if told else "accepted wrongly"


def ask(peer: Peer, folder: Path, case: odd.Odd) -> dict[str, object]:
    """What a parser makes of an interchange, in a process of its own."""
    bounds = Bounds(megabytes=0 if peer.node else Bounds().megabytes)
    try:
        answer: dict[str, object] = run(peer.command(folder, "judge", str(case.path), case.text), bounds)
    except Failed as error:
        answer = {"verdict": "crash", "said": str(error)}
    return {**answer, "result": verdict(case, answer)}


def compare(folders: Mapping[str, Path]) -> list[dict[str, object]]:
    """A row for each odd interchange, with every parser's answer by name."""
    rows: list[dict[str, object]] = []
    for case in odd.load():
        if case.ours:
            continue
        answers = {OURS.name: ask(OURS, Path(sys.prefix), case)}
        for peer in PEERS:
            if peer.name in folders:
                answers[peer.name] = ask(peer, folders[peer.name], case)
        rows.append({"name": case.name, "says": case.says, "right": case.right, "answers": answers})
    return rows


def totals(rows: list[dict[str, object]]) -> dict[str, dict[str, Counter[str]]]:
    """Counts of verdicts by group of interchanges and parser."""
    groups = {
        "the fifteen": rows[:FIFTEEN],
        "octets and envelope": [row for row in rows if str(row["name"]) < CONTENTS],
        "contents": [row for row in rows if str(row["name"]) >= CONTENTS],
        "all": rows,
    }
    return {
        name: {peer: Counter(_answers(row)[peer]["result"] for row in some) for peer in _answers(rows[0])}
        for name, some in groups.items()
    }


def _answers(row: Mapping[str, object]) -> dict[str, dict[str, str]]:
    answers = row["answers"]
    assert isinstance(answers, dict)
    return answers


def main() -> None:
    """Install, ask, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = Path(tempfile.gettempdir()) / "cvan-edifact-peers"
    arguments.add_argument("--cache", type=Path, default=default, help="where peers are installed")
    arguments.add_argument("--say", action="store_true", help="what each parser said")
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    folders, missing = installed(asked.cache, lambda text: print(text, file=sys.stderr))
    rows = compare(folders)
    counts = totals(rows)
    if asked.json:
        print(json.dumps({"rows": rows, "totals": counts, "not installed": missing}, indent=2))
        return
    _print(rows, counts, asked.say)
    for name, reason in missing.items():
        print(f"{name}: not installed, not compared ({reason})")


def _print(rows: list[dict[str, object]], counts: dict[str, dict[str, Counter[str]]], say: bool) -> None:
    peers = list(_answers(rows[0]))
    print(f"{'interchange':34}{'right to':10}" + "".join(f"{peer:18}" for peer in peers))
    for row in rows:
        results = "".join(f"{_answers(row)[peer]['result']:18}" for peer in peers)
        print(f"{row['name']:34}{row['right']:10}{results}")
        for peer in peers if say else ():
            said = " ".join(_answers(row)[peer]["said"].split())
            print(f"{'':10}{peer}: {said[:150]}" if said else f"{'':10}{peer}: nothing")
    for name, group in counts.items():
        print(f"\n{name} ({sum(group[peers[0]].values())})")
        for peer in peers:
            told = ", ".join(f"{group[peer][v]} {v}" for v in VERDICTS if group[peer][v])
            print(f"  {peer:14}{told}")


if __name__ == "__main__":
    main()
