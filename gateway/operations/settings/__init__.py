"""The settings of one home: ``conf/gateway.toml``, what may stand there, and what it asks for."""

from gateway.operations.settings.loading import OLD_PATHS, BadSettings, load
from gateway.operations.settings.meaning import (
    checked_keystore,
    database_file,
    database_url,
    handbook,
    keystore,
    policy,
    signing_key,
)
from gateway.operations.settings.sections import Bounds, Database, Listen, Publish, Settings

__all__ = [
    "OLD_PATHS",
    "BadSettings",
    "Bounds",
    "Database",
    "Listen",
    "Publish",
    "Settings",
    "checked_keystore",
    "database_file",
    "database_url",
    "handbook",
    "keystore",
    "load",
    "policy",
    "signing_key",
]
