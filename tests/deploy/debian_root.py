"""Plain Debian systems in folders, for what installs or builds in one. Needs root, mmdebstrap and a
Debian mirror."""

import os
import pathlib
import platform
import shutil
import subprocess

import pytest

import deployment

# The releases that Atelier is built and tested on, the newest first.
RELEASES = {"13": "trixie", "12": "bookworm"}
NEWEST = next(iter(RELEASES))
HOST = platform.freedesktop_os_release().get("VERSION_ID", "")
BASES = deployment.ROOT / "build" / "deploy-tests"

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


def missing():
    """What this machine lacks for making such systems, as a sentence; empty if nothing."""
    if os.geteuid() != 0:
        return "A Debian system in a folder needs root, for chroot: run this as root."
    for name in ("mmdebstrap", "unshare"):
        if not shutil.which(name):
            return f"{name} is not installed: run deploy/install-deps.sh --deployment-tests."
    return ""


def require():
    """Skips the test where such systems cannot be made."""
    if missing():
        pytest.skip(missing())


def _acquire_settings():
    """How this machine's apt reaches its mirror."""
    settings = deployment.run("apt-config", "dump").splitlines()
    wanted = ("Acquire::http", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")
    return "\n".join(s for s in settings if s.startswith(wanted)) + "\n"


def sources(release):
    """Where this machine has its own packages from, for another release of Debian: lines of apt's
    sources. Empty if it is no Debian: mmdebstrap then knows Debian's mirrors."""
    listed = deployment.run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                            "Identifier: Packages").splitlines()
    codename = RELEASES.get(HOST, "")
    lines = []
    for uri, suite, component in (line.split() for line in listed):
        if codename and suite.partition("-")[0] == codename and component == "main":
            lines.append(f"deb {uri} {suite.replace(codename, RELEASES[release])} main")
    return lines


def _make_base(path, release):
    path.parent.mkdir(parents=True, exist_ok=True)
    options = path.parent / "apt.conf"
    options.write_text(_acquire_settings())
    partial = path.with_suffix(".partial.tar")
    deployment.run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}",
                   f"--aptopt={options}", "--dpkgopt=path-exclude=/usr/share/man/*",
                   "--dpkgopt=path-exclude=/usr/share/doc/*", RELEASES[release], partial,
                   *sources(release), timeout=1200)
    partial.rename(path)


class DebianRoot:
    """A system of one release in a folder; one that is there already is used as it is."""

    def __init__(self, path, release=NEWEST):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            self._unpack(release)

    def _unpack(self, release):
        base = BASES / f"debian-{release}.tar"
        if not base.exists():
            _make_base(base, release)
        self.path.mkdir(parents=True)
        deployment.run("tar", "-C", self.path, "-xf", base)
        (self.path / "etc/apt/apt.conf.d/99host").write_text(_acquire_settings())
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")

    def has(self, program):
        return any((self.path / folder / program).exists()
                   for folder in ("usr/bin", "usr/sbin", "usr/local/bin"))

    def shell(self, script, user="0:0", mounts=(), timeout=600, environment=None, output=None):
        """Runs a script inside and returns what it printed, unless `output` takes that; every process
        that it leaves behind ends with it, and so do the mounts (source on this machine, target)."""
        uid, _, gid = user.partition(":")
        lines = [f'mount -t proc proc "{self.path}/proc"', f'mount --rbind /dev "{self.path}/dev"']
        for source, target in mounts:
            inside = f"{self.path}/{target.lstrip('/')}"
            lines.append(f'mkdir -p "{inside}" && mount --bind "{source}" "{inside}"')
        lines.append('exec chroot --userspec="$1" "$2" /bin/sh -ec "$3"')
        settings = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8", "HOME": "/",
                    **(environment or {})}
        finished = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join(lines), "sh",
             f"{uid}:{gid or uid}", str(self.path), script],
            stdout=output or subprocess.PIPE, stderr=output or subprocess.PIPE, text=True,
            timeout=timeout, env=settings, stdin=subprocess.DEVNULL)
        printed = finished.stdout or ""
        assert finished.returncode == 0, (script, printed[-4000:], (finished.stderr or "")[-4000:])
        return printed
