"""A neutral text has no folder of this machine and no memory address, and all else as it was."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from opcov.capturing.neutral import SITE_PACKAGES, STANDARD_LIBRARY, neutral

PLACES = {"/home/me": "/opt/home", "/home/me/project": "/opt/project", "/": "/nothing"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/project/x.py", "/opt/project/x.py"),
        ('"/home/me/x.py"', '"/opt/home/x.py"'),
        ("in /home/me.", "in /opt/home."),
        ("file:///home/me/x", "file:///opt/home/x"),
        ("/home/me-too/x.py", "/home/me-too/x.py"),
        ("/home/me.old/x.py", "/home/me.old/x.py"),
        ("/home/meander", "/home/meander"),
        ("/var/home/me/x", "/var/home/me/x"),
        ("<object at 0x7f12ab34cd56>", "<object at 0x7f0000000000>"),
        ("Thread 0x00007f12ab34cd56 (most recent", "Thread 0x7f0000000000 (most recent"),
        ("x & 0xffffff", "x & 0xffffff"),
    ],
)
def test_whole_folders_and_addresses_are_replaced(text: str, expected: str) -> None:
    assert neutral(text, PLACES) == expected


def test_the_folders_of_this_process_are_known() -> None:
    paths = sysconfig.get_paths()
    text = f"{paths['purelib']}/torch/x.py {paths['stdlib']}/ast.py {Path.cwd()}/x.py"
    assert neutral(text) == f"{SITE_PACKAGES}/torch/x.py {STANDARD_LIBRARY}/ast.py /opt/project/x.py"
