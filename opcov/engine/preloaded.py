"""Imports what judging needs, once in the process that all workers of a pool are forked from."""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module

from opcov.collector import collector_paused
from opcov.problems import OpcovError

with collector_paused(), suppress(ImportError, OpcovError):  # the worker meets it again, and tells
    import_module("opcov.engine.worker")
    import_module("opcov.registries.thunder")
    import_module("opcov.registries.thunder_import").import_thunder()
    # Workers share these pages as long as no collector writes into them.
    gc.freeze()
