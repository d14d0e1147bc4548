"""Carries the top-level data rooms (xsd, mappings, conf, keystore) inside the wheel as gateway/shipped."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOMS = ("conf", "xsd", "mappings", "keystore")


class BuildWithRooms(build_py):
    """build_py, then the rooms; an editable install reads them from the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for room in ROOMS:
            target = Path(self.build_lib) / "gateway" / "shipped" / room
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(room, target, ignore=shutil.ignore_patterns("*.key.pem", "own"))


setup(cmdclass={"build_py": BuildWithRooms})
