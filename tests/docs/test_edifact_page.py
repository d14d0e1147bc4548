"""The examples of the page on the EDIFACT engine are run, in order, as a reader would."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS, ROOT

EXAMPLES = re.findall(r"```python\n(.*?)```", (DOCS / "edifact.md").read_text("utf-8"), re.DOTALL)


def test_every_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert len(EXAMPLES) >= 6
    names: dict[str, object] = {}
    for example in EXAMPLES:
        exec(compile(example, "edifact.md", "exec"), names)
    assert "1 EDI037" in capsys.readouterr().out
