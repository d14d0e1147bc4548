"""Settings that no gateway could work with: refused before anything begins, with their names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.operations import settings

Rewrite = Callable[[str, str, str], None]
FILE = "conf/gateway.toml"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("port = 8443", "port = 65536"),
        ("port = 8443", "port = -1"),
        ("operations_port = 8444", "operations_port = 99999"),
        ("operations_port = 8444", "operations_port = 65535"),
        ("port = 8443", "port = 8445"),
        ("processes = 1", "processes = 0"),
        ("processes = 1", "processes = 65"),
        ("max_bytes = 10485760", "max_bytes = 0"),
        ("max_bytes = 10485760", "max_bytes = 268435457"),
        ("memory_bytes = 268435456", "memory_bytes = 1048575"),
        ("per_minute = 6000", "per_minute = 0"),
        ("in_flight = 64", "in_flight = -5"),
        ("linger_ms = 2", "linger_ms = -0.5"),
        ("linger_ms = 2", "linger_ms = nan"),
        ("linger_ms = 2", "linger_ms = inf"),
        ("max_batch = 100", "max_batch = 0"),
        ("interchange = 67108864", "interchange = 268435457"),
        ("segment = 65536", "segment = 0"),
        ("messages = 10000", "messages = -1"),
        ("messages = 10000", "messages = true"),
        ("findings = 999", "findings = 1000"),
        ("groups = 10000", "grups = 10000"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(home: Path, rewrite: Rewrite, old: str, new: str) -> None:
    rewrite(FILE, f"\n{old}", f"\n{new}")
    with pytest.raises(settings.BadSettings, match=new.partition(" ")[0]):
        settings.load(home)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("port = 8443", "port = 0"),
        ("port = 8443", "port = 65535"),
        ("operations_port = 8444", "operations_port = 0"),
        ("processes = 1", "processes = 64"),
        ("linger_ms = 2", "linger_ms = 0"),
        ("linger_ms = 2", "linger_ms = 1.5"),
        ("max_batch = 100", "max_batch = 1"),
        ("interchange = 67108864", "interchange = 268435456"),
        ("messages = 10000", "messages = 1"),
        ("findings = 999", "findings = 1"),
    ],
)
def test_what_is_just_within_is_taken(home: Path, rewrite: Rewrite, old: str, new: str) -> None:
    rewrite(FILE, f"\n{old}", f"\n{new}")
    settings.load(home)


def test_what_goes_into_no_file_fits_into_memory(home: Path, rewrite: Rewrite) -> None:
    """Else an empty door would tell its sender to come again, for ever."""
    rewrite(FILE, "\nmemory_bytes = 268435456", "\nmemory_bytes = 1048576")
    settings.load(home)
    rewrite(FILE, "\nlarge_bytes = 1048576", "\nlarge_bytes = 1048577")
    with pytest.raises(settings.BadSettings, match=r"memory_bytes: 1048576 .* limits.large_bytes, 1048577"):
        settings.load(home)


def test_a_key_with_a_password_is_said_to_be_one(home: Path) -> None:
    chosen = settings.load(home)
    key = home / chosen.keys.own / "signing.key.pem"
    command = ("openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret")
    locked = subprocess.run(command, check=True, capture_output=True).stdout
    key.write_bytes(locked)
    with pytest.raises(ValueError, match="encrypted"):
        settings.signing_key(home, chosen)
