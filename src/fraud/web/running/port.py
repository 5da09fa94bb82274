"""The port that the workers share: each listens on a socket of its own, and the kernel deals connections out.

From one socket for all, the worker that wakes first takes whoever is there: thirty clients who connect at the same
moment would all be with one worker, and its neighbour idle. A worker listens once it is loaded, and its part goes to
the others as soon as it is gone.
"""

from __future__ import annotations

import socket
import time

from fraud.errors import InputError

__all__ = ["is_served", "of_worker", "reserved"]

# Seconds until a port must be free: workers whose supervisor was killed notice within one.
_SECONDS = 3.0


def reserved(host: str, port: int) -> socket.socket:
    """The address, kept for the workers as long as this socket is open; it takes no connections itself.

    Raises:
        InputError: the address cannot be listened on.
    """
    until = time.monotonic() + _SECONDS
    while (told := _refusal(host, port)) is not None:
        if time.monotonic() > until:
            raise InputError(f"{host}:{port} cannot be listened on: {told}. Choose another --host or --port.")
        time.sleep(0.1)
    return of_worker(host, port)


def of_worker(host: str, port: int) -> socket.socket:
    """A socket at the shared address, which whoever gets it lets listen."""
    return _at(host, port, shared=True)


def is_served(host: str, port: int) -> bool:
    """Whether a worker listens at the address."""
    with socket.socket(_family(host)) as caller:
        return caller.connect_ex((host, port)) == 0


def _refusal(host: str, port: int) -> str | None:
    """Why nobody can listen there; None when they can."""
    try:
        with _at(host, port, shared=False) as probe:
            probe.listen()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _at(host: str, port: int, *, shared: bool) -> socket.socket:
    own = socket.socket(_family(host))
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        own.bind((host, port))
    except OSError:
        own.close()
        raise
    return own


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
