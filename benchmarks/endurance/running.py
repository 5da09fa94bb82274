"""A service in processes of its own that can be killed as a power cut would, and connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from fraud.config import Settings

__all__ = ["HOST", "Connection", "Running", "cpu_seconds", "free_port", "kill", "running"]

HOST = "127.0.0.1"
START_SECONDS = 120
# Between two looks whether it answers: the precision of a measured start.
_LOOK_SECONDS = 0.02


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and those that it started have used, as far as they live."""
    times = [p.cpu_times() for p in _family(pid)]
    return float(sum(t.user + t.system for t in times))


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all of it at once. Workers have sessions of their own: a signal to one group would miss them."""
    found = _family(process.pid)
    for one in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(found, timeout=30)
    process.wait(30)


class Running:
    """The service of some settings on one port; it may be started and killed any number of times."""

    def __init__(self, settings: Settings, workers: int = 1, **environ: str) -> None:
        self.settings, self.workers, self.port = settings, workers, free_port()
        self.log = Path(settings.var) / f"service-{self.port}.log"
        self.log.unlink(missing_ok=True)
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> None:
        """Start it as `fraud serve` does; it does not answer yet."""
        settings = self.settings
        environ = {
            **os.environ,
            "FRAUD_HOME": str(settings.home),
            "FRAUD_VAR": str(settings.var),
            "FRAUD_DATABASE_URL": settings.database_url,
            "FRAUD_TRACKING_URI": settings.tracking_uri,
            **self._environ,
        }
        line = [sys.executable, "-m", "fraud.cli", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self._started = time.perf_counter()
            self._process = subprocess.Popen(line, env=environ, stdout=log, stderr=log)

    async def answering(self) -> float:
        """Seconds from its start until `/readyz` was answered; raises `RuntimeError` when it never is."""
        while time.perf_counter() - self._started < START_SECONDS and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with Connection(self.port) as connection:
                    if (await connection.send("GET", "/readyz"))[0] == 200:
                        return time.perf_counter() - self._started
            await asyncio.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"the service did not start; see {self.log}")

    def cpu_seconds(self) -> float:
        """Processor time that the processes of now have used."""
        return cpu_seconds(self._process.pid) if self._process is not None else 0.0

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            kill(self._process)
            self._process = None


@contextmanager
def running(settings: Settings, workers: int = 1, **environ: str) -> Iterator[Running]:
    """A service that answers, gone in the end."""
    service = Running(settings, workers, **environ)
    service.start()
    try:
        asyncio.run(service.answering())
        yield service
    finally:
        service.kill()


class Connection:
    """One connection that is kept; as little as HTTP needs, so that the cores are left to the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer; raises `OSError` or `IncompleteReadError` when there is none."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, limit=1 << 26)
        reader, writer = self._streams
        told = {"Content-Type": "application/json", **(headers or {})}
        lines = "".join(f"{n}: {v}\r\n" for n, v in told.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        answer = await reader.readexactly(int(said.split("content-length:")[1].split("\r\n")[0]))
        if "\nconnection: close" in said:
            self.close()
        return int(said[9:12]), answer

    def close(self) -> None:
        """End the connection; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
