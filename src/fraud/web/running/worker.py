"""A worker process: BentoML's, with a socket of its own, and the garbage collector at rest until everything is loaded.

`python -m fraud.web.running.worker HOST PORT SERVICE ...` takes the rest as BentoML's worker does. What a start loads
stays; looking through it again and again takes an eighth of the start. `runtime.settle` ends the rest.
"""

from __future__ import annotations

import gc
import runpy
import sys

gc.disable()

from fraud.web.running.port import of_worker  # noqa: E402 - after the collector

_host, _port, *_told = sys.argv[1:]
# Kept here, so that it stays open.
_own = of_worker(_host, int(_port))
sys.argv[1:] = [*_told, "--fd", str(_own.fileno())]
runpy.run_module("_bentoml_impl.worker.service", run_name="__main__", alter_sys=True)
