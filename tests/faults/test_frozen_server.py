"""A server that stands still while its worker goes on: SIGSTOP, as a stalled disk or hypervisor does it."""

import harness
from recovery import LONG_SPEC, check_same, freeze, wait_epoch

LEASE = 4


def test_a_server_frozen_again_and_again_gives_no_worker_up(data_dir, small_dataset, long_undisturbed):
    with harness.Server(data_dir, {"small": small_dataset}, [f"--lease={LEASE}s"]) as server:
        name = server.start_job("frozen", **LONG_SPEC)
        watcher = harness.Watcher(server, name)
        for epoch in (2, 10, 20):
            wait_epoch(server, name, epoch)
            freeze([server.process.pid], 0.9 * LEASE)
        job = check_same(server, name, watcher.finish(), long_undisturbed)
        assert len(job.attempts) == 1, job.attempts


def test_server_and_worker_frozen_together_go_on_together(data_dir, small_dataset, long_undisturbed):
    """As a suspended virtual machine: twice the lease has passed, and nobody did anything wrong."""
    with harness.Server(data_dir, {"small": small_dataset}, [f"--lease={LEASE}s"]) as server:
        name = server.start_job("frozen", **LONG_SPEC)
        watcher = harness.Watcher(server, name)
        wait_epoch(server, name, 5)
        freeze([server.process.pid, *server.worker_pids()], 2 * LEASE)
        job = check_same(server, name, watcher.finish(), long_undisturbed)
        assert len(job.attempts) == 1, job.attempts
