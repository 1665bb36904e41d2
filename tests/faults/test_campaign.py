"""Faults of all kinds, drawn from a seed, hit jobs that run: nothing acknowledged is lost, nothing is shown
twice, every job has the attempts that its faults cost it, and its model is that of an undisturbed run."""

import collections
import errno
import os
import pathlib
import random
import signal
import time

import grpc
import pytest

import harness
from preloaded import ALLOCATIONS, KILL, FaultyServer
from proxy import Proxy
from recovery import (LONG_SPEC, calm_run, check_same, check_sound, check_times, end_reasons, freeze,
                      stop_process, wait_epoch)

ROUNDS = int(os.environ.get("ATELIER_FAULT_ROUNDS", "1"))
LEASE = 4 if ROUNDS == 1 else 10  # A long campaign runs beside other work, which starves workers.
FAULTS = 50  # A round.
# A job suffers no more than so many, and none after this epoch, since it has to run.
FAULTS_OF_A_JOB, LAST_EPOCH = 10, 40
LOSSES = 3  # Attempts that a job may lose.


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Disturbed:
    """A job that runs, and what befell it. A fault returns why the attempt has to end, or None."""

    def __init__(self, server, proxy, chance):
        self.server, self.proxy, self.chance = server, proxy, chance
        self.name = server.start_job("campaign", **LONG_SPEC)
        self.watcher = harness.Watcher(proxy, self.name, timeout=900)
        self.suffered = 0
        self.reasons = []
        self.breaks = 0  # That the watcher has to see.

    def bears(self, fault):
        """Whether it may be the next."""
        return (self.suffered < FAULTS_OF_A_JOB
                and self.server.job(self.name).progress.epoch <= LAST_EPOCH
                and (self.reasons.count("WORKER_LOST") < LOSSES or fault not in self.LOSING))

    def suffer(self, fault):
        """Some epochs and steps from here; until the job makes progress again."""
        epoch = self.server.job(self.name).progress.epoch + self.chance.randrange(4)
        wait_epoch(self.server, self.name, epoch, steps=self.chance.randrange(4))
        reason = fault(self)
        if reason:
            self.reasons.append(reason)
        self.suffered += 1
        self.settle()

    def settle(self):
        harness.wait_for(lambda: len(self.server.job(self.name).attempts) > len(self.reasons), 60,
                         "the next attempt")
        before = self.server.job(self.name).progress

        def goes_on():
            job = self.server.job(self.name)
            # A fault that hit late lets the job end.
            return job.progress != before or job.HasField("end_time")

        harness.wait_for(goes_on, 60, "progress")
        reasons = end_reasons(self.server.job(self.name))
        assert reasons[:-1] == self.reasons and reasons[-1] in ("", "COMPLETED"), reasons

    def finish(self, calm):
        ended = check_same(self.server, self.name, self.watcher.finish(), calm)
        assert end_reasons(ended) == [*self.reasons, "COMPLETED"]
        assert self.watcher.breaks >= self.breaks
        check_times(ended)
        assert self.server.stop() == 0
        check_sound(self.server)
        self.server.start()

    def worker(self):
        workers = self.server.worker_pids()
        assert len(workers) == 1, workers
        return workers[0]

    def restart(self):
        """After the server has ended."""
        self.server._ended(60)
        self.server.start()
        self.breaks += 1

    # Faults that cost one of the attempts that a job may lose, or could.

    def kill_worker(self):
        os.kill(self.worker(), signal.SIGKILL)
        return "WORKER_LOST"

    def kill_both(self):
        worker = self.worker()
        self.server.process.kill()
        os.kill(worker, signal.SIGKILL)
        self.restart()
        return "WORKER_LOST"

    def freeze_worker_for_long(self):
        worker = self.worker()
        stop_process(worker)
        harness.wait_for(lambda: worker not in self.server.worker_pids(), 60, "the worker to be given up")
        return "WORKER_LOST"

    def freeze_server_for_long(self):
        worker = self.worker()
        server = self.server.process.pid
        own = parent_of(worker) == server
        stop_process(server)
        harness.wait_for(lambda: worker not in self.server.worker_pids(), 60, "the worker to give up")
        os.kill(server, signal.SIGCONT)
        # Meanwhile the worker went on; there may not be much left to hit.
        self.suffered = FAULTS_OF_A_JOB
        # With what status the worker of an earlier server ended, nobody knows.
        return "SERVER_UNREACHABLE" if own else "WORKER_LOST"

    # One that costs an attempt, but not one of those.

    def terminate_server(self):
        self.server.process.terminate()
        self.restart()
        return "SERVER_SHUTDOWN"

    # Faults that cost nothing.

    def kill_server(self):
        self.server.process.kill()
        self.restart()

    def freeze_server(self):
        freeze([self.server.process.pid], 1)

    def freeze_worker(self):
        freeze([self.worker()], 1)

    def freeze_both(self):
        freeze([self.server.process.pid, self.worker()], 3 * LEASE / 2)

    def set_clock(self, *clocks):
        for clock in clocks:
            clock.set_clock(self.chance.choice([-86400, -3600, 0, 3600, 86400]))
        harness.wait_for(lambda: all(clock.readings for clock in clocks), 60, "a look at the clock")

    def set_clock_of_server(self):
        self.set_clock(self.server.own)

    def set_clock_of_worker(self):
        self.set_clock(self.server.workers)

    def set_both_clocks(self):
        self.set_clock(self.server.own, self.server.workers)

    def cut_connection(self):
        cuts = self.proxy.cuts
        harness.wait_for(lambda: self.proxy.cut() or self.proxy.cuts > cuts, 60, "a connection to cut")
        self.breaks += 1

    def kill_at_a_write(self):
        self.server.own.arm(self.chance.randint(1, 30), KILL)
        harness.wait_for(lambda: self.server.own.hit, 60, "the write")
        self.restart()

    def fail_a_write(self):
        self.server.own.arm(self.chance.randint(1, 30), self.chance.choice([errno.EIO, errno.ENOSPC]))
        harness.wait_for(lambda: self.server.own.hit, 60, "the write")
        # Nothing is stored any more if it was a sync.
        self.server.process.kill()
        self.restart()

    def fail_an_allocation(self):
        self.server.own.arm(self.chance.randint(1, 5000), errno.ENOMEM, ALLOCATIONS)
        harness.wait_for(lambda: self.server.own.hit, 60, "the allocation")
        try:
            self.settle()
        except grpc.RpcError:
            self.restart()

    KILLS = [kill_worker, kill_both]
    LOSING = [*KILLS, freeze_worker_for_long, freeze_server_for_long]
    OTHERS = [terminate_server, kill_server, freeze_server, freeze_worker, freeze_both, set_clock_of_server,
              set_clock_of_worker, set_both_clocks, cut_connection, kill_at_a_write, fail_a_write,
              fail_an_allocation]


@pytest.fixture(scope="module")
def few_images(tmp_path_factory):
    """So few that most of the time goes into faults."""
    return harness.make_subset(tmp_path_factory.mktemp("few"), training=1000, test=200)


@pytest.fixture(scope="module")
def calm(tmp_path_factory, few_images):
    return calm_run(tmp_path_factory.mktemp("calm-campaign"), few_images, LONG_SPEC)


@pytest.fixture(scope="module")
def report(request):
    """How many faults of each kind hit, and jobs that survived, shown at the end."""
    counts, began = collections.Counter(), time.monotonic()
    yield counts
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{counts.pop('jobs', 0)} jobs, {counts.total()} faults, {time.monotonic() - began:.0f} s")
        for kind, count in sorted(counts.items()):
            print(f"{count:5} {kind}")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_jobs_survive_fifty_faults(data_dir, few_images, calm, report, seed):
    chance = random.Random(seed)
    faults = 2 * Disturbed.LOSING + 3 * Disturbed.KILLS + 2 * Disturbed.OTHERS
    faults += chance.choices(Disturbed.OTHERS, k=FAULTS - len(faults))
    chance.shuffle(faults)
    with FaultyServer(data_dir, {"small": few_images}, [f"--lease={LEASE}s"]) as server, \
            Proxy(server.address) as proxy:
        while faults:
            job = Disturbed(server, proxy, chance)
            server.wait_job(job.name, "TRAINING")
            while faults and job.bears(faults[-1]):
                fault = faults.pop()
                job.suffer(fault)
                report[fault.__name__] += 1
            job.finish(calm)
            report["jobs"] += 1
