"""What wakes somebody and what is looked at: rules and panels read only figures that a gateway tells."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.conftest import Watched, until
from tests.deploy.expressions import OF_THE_SCRAPE, grouped, selectors
from tests.deploy.files import DEPLOY, DOCS, document, program, said

PROMETHEUS = DEPLOY / "prometheus"
RULES = [r for g in document(PROMETHEUS / "alerts.yml")["groups"] for r in g["rules"]]
DASHBOARD = json.loads((DEPLOY / "grafana" / "cvan.json").read_text("utf-8"))
SEVERITIES = {"page", "ticket"}

Told = dict[str, list[dict[str, str]]]


def panels() -> Iterator[tuple[str, str]]:
    """Title and expression of everything that is drawn."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


EXPRESSIONS = [*((r["alert"], r["expr"]) for r in RULES), *panels()]


@pytest.fixture(scope="module")
def told(watched: Watched) -> Told:
    """The labels of every sample that the processes tell, by the sample's name."""
    found: Told = {}
    for text in watched.figures().values():
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
def test_every_figure_is_told_with_its_labels(name: str, expression: str, told: Told) -> None:
    found = selectors(expression)
    assert found or "up{" in expression
    for selector in found:
        assert selector.metric in told, f"{name}: no process tells {selector.metric}"
        samples = told[selector.metric]
        for label, operator, value in selector.matchers:
            if label in OF_THE_SCRAPE:
                continue
            assert any(label in s for s in samples), f"{name}: {selector.metric} has no {label}"
            if operator == "=" and label != "status":
                assert any(s.get(label) == value for s in samples), f"{name}: no {label} is {value}"
    known = OF_THE_SCRAPE | {label for s in found for sample in told[s.metric] for label in sample}
    assert grouped(expression) <= known


def test_a_figure_that_nobody_tells_is_noticed(told: Told) -> None:
    for wrong in ("cvan_nonsense > 0", 'cvan_doors{nonsense="1"}', 'cvan_doors{state="nonsense"}'):
        with pytest.raises(AssertionError):
            test_every_figure_is_told_with_its_labels("wrong", wrong, told)


def test_every_figure_of_the_gateway_s_state_is_watched(told: Told) -> None:
    """What is counted and neither drawn nor watched would be for nobody."""
    read = {s.metric for _, expression in EXPRESSIONS for s in selectors(expression)}
    states = {name for name in told if not name.endswith(("_created", "_sum", "_count"))}
    assert states - read <= {"cvan_filings_late_total"}


def test_what_is_down_is_told(watched: Watched) -> None:
    figures = watched.figures()
    assert 'cvan_doors{state="open"} 1.0' in figures["supervisor"]
    assert 'cvan_doors{state="wanted"} 1.0' in figures["supervisor"]
    for text in figures.values():
        assert "cvan_ledger_up 1.0" in text
    age = re.search(r"(?m)^cvan_checkpoint_age_seconds (\S+)$", figures["supervisor"])
    assert age
    assert 0 <= float(age[1]) < 30
    assert "cvan_checkpoint_age_seconds NaN" in figures["door"]
    free, size = (
        re.search(rf'cvan_home_bytes{{state="{s}"}} (\S+)', figures["supervisor"]) for s in ("free", "size")
    )
    assert free
    assert size
    assert 0 < float(free[1]) <= float(size[1]) == shutil.disk_usage(watched.process.home).total


def test_a_door_that_ends_is_missed_until_it_is_open_again(watched: Watched) -> None:
    def open_doors() -> str:
        told = re.search(r'cvan_doors\{state="open"\} (\S+)', watched.figures()["supervisor"])
        return told[1] if told else ""

    supervisor = watched.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    (door,) = (int(c) for c in children if b"--door" in Path(f"/proc/{c}/cmdline").read_bytes())
    os.kill(door, signal.SIGKILL)
    until(lambda: open_doors() == "0.0", "the door is missed")
    until(lambda: open_doors() == "1.0", "the door is open again", 60)


# -- rules -------------------------------------------------------------------------------------------


def test_rules_and_configuration_are_what_prometheus_takes() -> None:
    promtool = program("promtool")
    for kind, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = said(promtool, "check", kind, PROMETHEUS / name)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_come_when_they_should_and_not_on_a_good_day() -> None:
    done = said(program("promtool"), "test", "rules", "alerts_test.yml", cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_both_ways() -> None:
    tried: dict[str, set[bool]] = {}
    for case in document(PROMETHEUS / "alerts_test.yml")["tests"]:
        for one in case["alert_rule_test"]:
            tried.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in RULES}


def test_a_broken_rule_is_noticed(tmp_path: Path) -> None:
    promtool = program("promtool")
    for name in ("alerts.yml", "alerts_test.yml"):
        shutil.copy(PROMETHEUS / name, tmp_path)
    path = tmp_path / "alerts.yml"
    path.write_text(path.read_text("utf-8").replace("cvan_ledger_up) == 0", "cvan_ledger_up) == 2"), "utf-8")
    assert said(promtool, "test", "rules", "alerts_test.yml", cwd=tmp_path).returncode != 0


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_whoever_is_woken_is_told_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    text = (DOCS.parent / page).read_text("utf-8")
    sections = {m[1].lower(): m[2] for m in re.finditer(r"(?ms)^### (\w+)\n(.*?)(?=^##|\Z)", text)}
    assert anchor in sections
    assert "**Means.**" in sections[anchor]
    assert "**Do.**" in sections[anchor]


def test_there_is_no_page_for_an_alert_that_does_not_exist() -> None:
    sections = set(re.findall(r"(?m)^### (\w+)$", (DOCS / "alerts.md").read_text("utf-8")))
    named = {rule["annotations"]["runbook"].partition("#")[2] for rule in RULES}
    assert {s.lower() for s in sections} == named


# -- the dashboard -----------------------------------------------------------------------------------


def test_the_dashboard_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert len([p for p in DASHBOARD["panels"] if p["type"] != "row"]) <= 20
    names = {f"${{{v['name']}}}" for v in DASHBOARD["templating"]["list"]}
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] in names
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def test_what_is_drawn_is_an_expression(tmp_path: Path) -> None:
    """Grafana's own variables filled in, each is taken as a rule by Prometheus."""
    promtool = program("promtool")
    lines = ["groups:", "  - name: panels", "    rules:"]
    for n, (_, expression) in enumerate(panels()):
        filled = expression.replace("$__rate_interval", "1m").replace("$node", ".*")
        lines += [f"      - record: panel_{n}", f"        expr: {json.dumps(filled)}"]
    (tmp_path / "panels.yml").write_text("\n".join(lines) + "\n", "utf-8")
    done = said(promtool, "check", "rules", tmp_path / "panels.yml")
    assert done.returncode == 0, done.stdout + done.stderr
