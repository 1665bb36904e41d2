"""Plain Debian 12 systems in folders, for tests that install or build in one. Needs root,
mmdebstrap and a Debian mirror."""

import os
import pathlib
import shutil
import subprocess

import pytest

import deployment

BASE = deployment.ROOT / "build" / "deploy-tests" / "debian-12.tar"

# What is in Debian's slim images: the essential packages, apt, and a user database.
PACKAGES = "adduser,ca-certificates"

# The main job, in a system with server and client: train on the real data, look at the confusion
# matrix, classify. {server} is the command that starts the server. Ends with the server's own end.
MAIN_JOB = """
set -eu
{server} --listen=127.0.0.1:0 --metrics_listen=127.0.0.1:0 >/tmp/ready 2>/tmp/server.log &
server=$!
trap 'tail -n 20 /tmp/server.log >&2' EXIT
for _ in $(seq 300); do grep -q serving /tmp/ready && break; sleep 0.1; done
ATELIER_SERVER=$(sed -n 's/.*serving on \\([^,]*\\),.*/\\1/p' /tmp/ready)
export ATELIER_SERVER
atelier health
atelier train --preset=dense --epochs=1 --name=plain
job=$(atelier --output=json jobs | sed -n 's/.*"name":"jobs\\/\\([^"]*\\)".*/\\1/p' | head -n 1)
atelier confusion "$job" | grep -q Trouser
atelier classify --model=dense --test-image 0
test -s "${{STATE_DIRECTORY:-/var/lib/atelier}}/models/dense/1/model.tar.gz"
kill "$server"
wait "$server"
trap - EXIT
"""


def require():
    """Skips the test where such systems cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot")
    deployment.tool("mmdebstrap")
    deployment.tool("unshare")


def _acquire_settings():
    """How this machine's apt reaches its mirror."""
    settings = deployment.run("apt-config", "dump").splitlines()
    wanted = ("Acquire::http", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")
    return "\n".join(s for s in settings if s.startswith(wanted)) + "\n"


def _make_base():
    BASE.parent.mkdir(parents=True, exist_ok=True)
    options = BASE.parent / "apt.conf"
    options.write_text(_acquire_settings())
    partial = BASE.with_suffix(".partial.tar")
    deployment.run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}",
                   f"--aptopt={options}", "--dpkgopt=path-exclude=/usr/share/man/*",
                   "--dpkgopt=path-exclude=/usr/share/doc/*", "bookworm", partial, timeout=1200)
    partial.rename(BASE)


class DebianRoot:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not BASE.exists():
            _make_base()
        self.path.mkdir(parents=True)
        deployment.run("tar", "-C", self.path, "-xf", BASE)
        (self.path / "etc/apt/apt.conf.d/99host").write_text(_acquire_settings())
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")

    def has(self, program):
        return any((self.path / folder / program).exists()
                   for folder in ("usr/bin", "usr/sbin", "usr/local/bin"))

    def shell(self, script, user="0:0", mounts=(), timeout=600):
        """Runs a script inside; every process that it leaves behind ends with it."""
        uid, _, gid = user.partition(":")
        lines = [f'mount -t proc proc "{self.path}/proc"', f'mount --rbind /dev "{self.path}/dev"']
        for source, target in mounts:
            inside = f"{self.path}/{target.lstrip('/')}"
            lines.append(f'mkdir -p "{inside}" && mount --bind "{source}" "{inside}"')
        lines.append('exec chroot --userspec="$1" "$2" /bin/sh -ec "$3"')
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8", "HOME": "/"}
        finished = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join(lines), "sh",
             f"{uid}:{gid or uid}", str(self.path), script],
            capture_output=True, text=True, timeout=timeout, env=environment, stdin=subprocess.DEVNULL)
        assert finished.returncode == 0, (script, finished.stdout[-4000:], finished.stderr[-4000:])
        return finished.stdout
