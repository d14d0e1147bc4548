"""Carries the top-level data rooms (xsd, mappings, conf, keystore) inside the wheel as gateway/shipped.

And compiles the modules in C; where there is no compiler, Python does the same in their place, at half the speed.
"""

import shutil
from pathlib import Path

import lxml
from setuptools import Extension, setup
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


setup(
    cmdclass={"build_py": BuildWithRooms},
    ext_modules=[
        Extension("gateway.syntax._plain", ["gateway/syntax/_plain.c"], optional=True),
        Extension(
            "gateway.mapping._groups",
            ["gateway/mapping/_groups.c", "gateway/mapping/_groups_table.c"],
            depends=["gateway/mapping/_groups.h"],
            optional=True,
        ),
        Extension("gateway.security.xmldsig._plain", ["gateway/security/xmldsig/_plain.c"], optional=True),
        Extension(
            "gateway.mapping._plain",
            ["gateway/mapping/_plain.c"],
            include_dirs=lxml.get_include(),
            optional=True,
        ),
    ],
)
