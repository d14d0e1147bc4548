"""``conf/gateway.toml`` read and checked whole."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from gateway import syntax
from gateway.operations.settings.sections import LAST_PORT, MOST_OCTETS, Bounds, Edifact, Listen, Settings


class BadSettings(Exception):
    """The settings cannot be used; the text says where and why."""


def load(home: Path) -> Settings:
    """Read ``conf/gateway.toml`` of a home.  Raises BadSettings."""
    path = home / "conf" / "gateway.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        _forget_old_paths(said)
        chosen = msgspec.convert(said, Settings)
    except FileNotFoundError as error:
        raise BadSettings(
            f"{home} is not a home: {path} is missing; make one with: cvan init {home}"
        ) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from error
    fault = _fault(chosen.listen) or _beyond(chosen.edifact) or _too_little(chosen.limits)
    if fault:
        raise BadSettings(f"{path}: {fault}")
    return chosen


OLD_PATHS = {
    "signing_key": "keystore/own/signing.key.pem",
    "signing_certificate": "keystore/own/signing.crt.pem",
    "tls_key": "keystore/own/tls.key.pem",
    "tls_certificate": "keystore/own/tls.crt.pem",
}
"""Settings of homes from before own keys had generations: these files are still where first ones are."""


def _forget_old_paths(said: dict[str, Any]) -> None:
    """Raises ValidationError where a key lies elsewhere than it would be looked for."""
    keys = said.get("keys", {})
    for name, path in OLD_PATHS.items() if isinstance(keys, dict) else ():
        if keys.pop(name, path) != path:
            use = name.partition("_")[0]
            raise msgspec.ValidationError(
                f"keys.{name}: own keys are in keystore/own; remove this line, then take the key in with: "
                f"cvan keys import --use {use} --key KEY.pem CERTIFICATE.pem"
            )


def _fault(listen: Listen) -> str:
    """What is wrong with ports that are each right: the supervisor and every door have one for operators."""
    try:
        private = ipaddress.IPv4Address(listen.operations_host).is_private
    except ValueError:
        private = False
    if not private:
        return f"listen.operations_host: {listen.operations_host} is no IPv4 address of a private network"
    first, last = listen.operations_port, listen.operations_port + listen.processes
    if first and last > LAST_PORT:
        return f"listen.operations_port: {first} to {last} are needed, the last port is {LAST_PORT}"
    if first and first <= listen.port <= last:
        return f"listen.port: {listen.port} is one of the ports for operators, {first} to {last}"
    return ""


def _beyond(edifact: Edifact) -> str:
    """Which bound of an interchange nothing could keep, or would bound nothing."""
    told = syntax.EdifactLimits().findings  # as many as a CONTRL can say
    for name, bound in msgspec.structs.asdict(edifact).items():
        most = told if name == "findings" else MOST_OCTETS
        if isinstance(bound, int) and not 1 <= bound <= most:
            return f"edifact.{name}: {bound} is not within 1 to {most}"
    return ""


def _too_little(limits: Bounds) -> str:
    """A body that goes into no file must find room in memory, or its sender would be told to come again for ever."""
    if limits.memory_bytes >= limits.large_bytes:
        return ""
    return f"limits.memory_bytes: {limits.memory_bytes} is less than limits.large_bytes, {limits.large_bytes}"
