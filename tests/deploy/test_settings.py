"""What deployments set: where operators are answered, and bounds behind a balancer."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.operations import settings


def chosen(folder: Path, text: str) -> settings.Settings:
    (folder / "conf").mkdir()
    (folder / "conf" / "gateway.toml").write_text(text, "utf-8")
    return settings.load(folder)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.1.1", "172.16.0.9"])
def test_operators_are_answered_on_a_private_network(host: str, tmp_path: Path) -> None:
    assert chosen(tmp_path, f'[listen]\noperations_host = "{host}"\n').listen.operations_host == host


@pytest.mark.parametrize("host", ["8.8.8.8", "gateway.example", "", "::1", "10.0.0.0/8"])
def test_never_where_everybody_is(host: str, tmp_path: Path) -> None:
    with pytest.raises(settings.BadSettings, match=r"listen\.operations_host"):
        chosen(tmp_path, f'[listen]\noperations_host = "{host}"\n')


def test_bounds_of_connections_are_chosen(tmp_path: Path) -> None:
    limits = chosen(tmp_path, "[limits]\nconnections = 5000\nconnections_per_address = 4000\n").limits
    assert (limits.connections, limits.connections_per_address) == (5_000, 4_000)
