"""The library that makes a program's calls of the C library go wrong, and the page that tells it how."""

import mmap
import struct

import harness

LIBRARY = harness.BIN.parent / "tests" / "faults" / "libatelier_preloaded.so"
# What counts as a call; preloaded.cc has it, too.
WRITES, SYNCS, ALLOCATIONS = 1, 2, 3
# In the place of an error: ends the process before the call.
KILL = 0


class Fault:
    """What preloaded.cc is told, and what it tells. Programs that share a path share it."""

    SIZE = 4096

    def __init__(self, path, data_dir=None):
        """Without a data directory no writes count."""
        path.write_bytes(bytes(self.SIZE))
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self.SIZE)
        self.environment = {"LD_PRELOAD": str(LIBRARY), "ATELIER_FAULT_FILE": str(path)}
        if data_dir:
            self.environment["ATELIER_FAULT_FOLDER"] = str(data_dir.resolve())

    def arm(self, n, error, counted=WRITES):
        """The n-th call from here on goes wrong; with n = 0 they are only counted."""
        self._set(0, 0)
        self._memory[8:32] = struct.pack("3q", 0, n, error)
        self._memory[48:] = bytes(self.SIZE - 48)
        self._set(0, counted)

    def set_clock(self, seconds):
        """The wall clock is so many seconds ahead from here on."""
        self._set(4, int(seconds * 1e9))
        self._set(5, 0)

    def write_worker(self, script):
        """A worker's program that has the library; workers inherit nothing of a server's environment."""
        settings = " ".join(f"'{name}={value}'" for name, value in self.environment.items())
        script.write_text(f"#!/bin/sh\nexec env {settings} {harness.BIN / 'atelier-worker'} \"$@\"\n")
        script.chmod(0o755)

    def _set(self, field, value):
        self._memory[8 * field:8 * field + 8] = struct.pack("q", value)

    def _get(self, field):
        return struct.unpack("q", self._memory[8 * field:8 * field + 8])[0]

    @property
    def calls(self):
        """How many calls counted since it was armed."""
        return self._get(1)

    @property
    def readings(self):
        """How often the clock was read since it was set."""
        return self._get(5)

    @property
    def hit(self):
        """What went wrong: the call and what it was for; empty so far."""
        return self._memory[48:].rstrip(b"\0").decode(errors="replace")


class FaultyServer(harness.Server):
    """A server and workers that have the library: `own` is the server's page, `workers` that of workers."""

    def __init__(self, data_dir, datasets, flags=()):
        worker = data_dir.parent / "worker"
        super().__init__(data_dir, datasets, [*flags, f"--worker_binary={worker}"])
        self.own = Fault(data_dir.parent / "server.fault", data_dir)
        self.environment = self.own.environment
        self.workers = Fault(data_dir.parent / "workers.fault")
        self.workers.write_worker(worker)
