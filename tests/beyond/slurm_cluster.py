"""A Slurm cluster of two nodes on this machine: munged, slurmctld and two slurmd, up within seconds.

No service manager, no control groups, no database: what runs as a batch job is what counts. Works
with Slurm 22.05 (Debian 12) and 24.11 (Debian 13)."""

import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess

from harness import free_ports, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED")

# sbatch and its kin are in /usr/bin, the daemons in /usr/sbin, which is not in everybody's PATH.
os.environ["PATH"] += ":/usr/sbin:/sbin"

CONFIGURATION = """
ClusterName=atelier
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=5,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=300
KillWait=5
SlurmdTimeout=15
InactiveLimit=0
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=16000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=16000
PartitionName=train Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=3
PartitionName=urgent Nodes=n1,n2 Default=NO MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_not():
    """Why no cluster can be started here; empty if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return (f"SKIPPED Slurm: {', '.join(missing)} not installed "
                "(Debian: munge, slurm-client, slurmctld, slurmd)")
    return "" if os.geteuid() == 0 else "SKIPPED Slurm: its node daemon starts jobs as root only"


def processes():
    """Process ids with their command lines and environments, as far as they can be read."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            yield (int(entry.name), (entry / "cmdline").read_bytes().split(b"\0"),
                   (entry / "environ").read_bytes().split(b"\0"))
        except (OSError, ValueError):
            continue


class Cluster:
    """Two nodes, n1 and n2, of two cores each; partition `urgent` preempts partition `train`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"))

    def __enter__(self):
        for name in ("state", "spool.n1", "spool.n2", "munge", "log"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o700)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(32))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], folder=self.folder, ports=free_ports(3),
            user=pwd.getpwuid(os.geteuid()).pw_name))
        # From 23.11 on nodes need control groups unless this says otherwise; earlier ones do not know the word.
        if self.command("sinfo", "--version", check=True).stdout.split()[1] >= "23.11":
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        munge = self.folder / "munge"
        try:
            self._daemon("munged", "--force", f"--key-file={key}", f"--socket={munge / 'socket'}",
                         f"--pid-file={munge / 'pid'}", f"--log-file={munge / 'log'}",
                         f"--seed-file={munge / 'seed'}")
            self.start_controller()
            for node in ("n1", "n2"):
                self.start_node(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.jobs():
            self.command("scancel", "--full", "--signal=KILL", *self.jobs())
        for pid_file in ("slurmd.n1.pid", "slurmd.n2.pid", "slurmctld.pid", "munge/pid"):
            self._end(pid_file, signal.SIGTERM)
        for node in ("n1", "n2"):
            self._kill_steps(node)

    def _daemon(self, *command):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def _end(self, pid_file, how):
        path = self.folder / pid_file
        if not path.exists() or not path.read_text().strip():
            return
        pid = int(path.read_text())
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return
        wait_for(lambda: not self._runs(pid), what=f"the end of {pid_file}")

    @staticmethod
    def _runs(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    # Commands.

    def command(self, *arguments, check=False, **options):
        done = subprocess.run(arguments, env=self.environment, capture_output=True, text=True,
                              timeout=60, **options)
        assert done.returncode == 0 or not check, (arguments, done.stdout, done.stderr)
        return done

    def listed(self, states=LIVE):
        """Jobs in these states: id, state, reason, node, name; nothing while nobody answers."""
        done = self.command("squeue", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j")
        rows = [line.split("|") for line in done.stdout.splitlines()]
        return [row for row in rows if row[1] in states]

    def jobs(self):
        return [row[0] for row in self.listed()]

    def wait_empty(self):
        wait_for(lambda: not [row for row in self.listed() if row[4].startswith("atelier-")], 60,
                 "the end of the server's Slurm jobs")

    def submit(self, *arguments, script="sleep 1000"):
        return self.command("sbatch", "--parsable", "--output=/dev/null", *arguments, check=True,
                            input=f"#!/bin/sh\n{script}\n").stdout.strip()

    def cancel(self, job):
        self.command("scancel", job, check=True)
        wait_for(lambda: job not in self.jobs(), what=f"the end of Slurm job {job}")

    # Daemons.

    def start_controller(self):
        self._daemon("slurmctld", "-f", str(self.folder / "slurm.conf"))
        wait_for(lambda: self.command("scontrol", "ping").returncode == 0, what="the controller")

    def stop_controller(self):
        """As for an upgrade. One that is killed within a second or two of a submission has not saved the
        job: Slurm gives its number out again and drains the node where it still runs."""
        self._end("slurmctld.pid", signal.SIGTERM)

    def start_node(self, node):
        self._daemon("slurmd", "-f", str(self.folder / "slurm.conf"), "-N", node)
        wait_for(lambda: self.command("sinfo", "--noheader", "--nodes=" + node, "--format=%T"
                                      ).stdout.split()[:1] in (["idle"], ["mixed"], ["allocated"]),
                 what=f"node {node}")

    def _kill_steps(self, node):
        for pid, command, environment in processes():
            if f"SLURMD_NODENAME={node}".encode() not in environment:
                continue
            if f"SLURM_CONF={self.folder}/slurm.conf".encode() not in environment:
                continue
            try:
                parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
                name = pathlib.Path(f"/proc/{parent}/comm").read_text()
                for victim in (parent, pid) if name.startswith("slurmstepd") else (pid,):
                    os.kill(victim, signal.SIGKILL)
            except (OSError, ValueError):
                continue

    def kill_node(self, node):
        """As if the machine lost power: its daemon and everything that runs on it are gone at once."""
        self._end(f"slurmd.{node}.pid", signal.SIGKILL)
        self._kill_steps(node)
