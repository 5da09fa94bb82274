"""A worker process: BentoML's, with the garbage collector at rest until everything is loaded.

What a start loads stays; looking through it again and again takes an eighth of the start. `runtime.settle` ends the
rest.
"""

from __future__ import annotations

import gc
import runpy

gc.disable()
runpy.run_module("_bentoml_impl.worker.service", run_name="__main__", alter_sys=True)
