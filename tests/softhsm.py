"""SoftHSM2 as a token of the tests' own, which can be taken away and brought back."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gateway.security.keystore import hsm

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "correct-horse-4711"
LABEL = "cvan-test"


class Device:
    """A SoftHSM of the tests' own, which can be taken away."""

    def __init__(self, folder: Path, module: str) -> None:
        self.module = module
        self.tokens = folder / "tokens"
        self.pin = folder / "pin"
        self.tokens.mkdir()
        self.pin.write_text(f"{PIN}\n")
        self.pin.chmod(0o600)
        config = folder / "softhsm2.conf"
        config.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(config)
        # The tests' own PIN, of a token that they throw away.
        command = ("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN)
        subprocess.run((*command, "--so-pin", "officer-0815"), check=True, capture_output=True)

    def uri(self, label: str, *, token: str = LABEL, pin: Path | None = None) -> str:
        return (
            f"pkcs11:token={token};object={label}?module-path={self.module}&pin-source=file:{pin or self.pin}"
        )

    def take_away(self) -> None:
        self.tokens.rename(self.tokens.with_name("away"))

    def bring_back(self) -> None:
        self.tokens.with_name("away").rename(self.tokens)
        time.sleep(hsm.PAUSE_SECONDS + 0.05)


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    module = next((m for m in MODULES if Path(m).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    return Device(tmp_path_factory.mktemp("softhsm"), module)
