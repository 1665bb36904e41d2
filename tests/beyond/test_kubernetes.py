"""Trainings on a Kubernetes cluster: whatever is done to it they end as if nothing had been done."""

import base64
import json
import random
import signal
import time

import pytest

import campaign
import harness
import kubernetes_cluster
import recovery
from campaign import ROUNDS, SPEC
from harness import JOB_FAILED, Server, Watcher, wait_for


def flags(cluster, template, *further):
    return ["--executor=kubernetes", f"--worker_listen={kubernetes_cluster.HOST}:0", "--allow_insecure",
            f"--kubernetes_job_template={template}", f"--kubernetes_api={kubernetes_cluster.API}",
            f"--kubernetes_token_file={cluster.token_file}", f"--kubernetes_ca_file={cluster.ca_file}",
            "--kubernetes_namespace=atelier", "--threads_per_worker=1", "--lease=5s",
            f"--rank_network={kubernetes_cluster.PODS}", *further]


def with_port(arguments, port):
    return [argument.replace(":0", f":{port}") if argument.startswith("--worker_listen") else argument
            for argument in arguments]


@pytest.fixture
def server(kubernetes, data_dir, small_dataset, tmp_path):
    """A server that has the cluster run its workers, and leaves nothing there."""
    template = kubernetes.template(tmp_path, data_dir, small_dataset)
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset},
                with_port(flags(kubernetes, template), port)) as running:
        yield running
        kubernetes.wait_empty()


def running_pod(cluster, name):
    """The pod in which a job's worker runs."""
    launch = f"/{name.removeprefix('jobs/')}/"

    def found():
        jobs = {job["metadata"]["uid"] for job in cluster.items("jobs")
                if launch in job["metadata"]["annotations"].get("atelier.launch", "")}
        for pod in cluster.items("pods"):
            owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}
            if owners & jobs and pod["status"].get("phase") == "Running" \
                    and "deletionTimestamp" not in pod["metadata"]:
                return pod["metadata"]["name"]
        return None
    return wait_for(found, 60, f"{name} to run in a pod")


def further(server, name, epochs=3):
    recovery.wait_epoch(server, name, server.job(name).progress.epoch + epochs)


def evict(cluster, pod):
    cluster.call("POST", f"/api/v1/namespaces/atelier/pods/{pod}/eviction",
                 {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})


def test_a_job_trains_in_a_pod_and_leaves_nothing_behind(server, kubernetes):
    name, place, watched = campaign.train_placed(server)
    assert "completed" in watched
    assert place.startswith(f"node {kubernetes_cluster.NODE}, Kubernetes job atelier-")
    assert "attempt 1" in server.run("logs", name.removeprefix("jobs/"), check=harness.DONE).stdout


def test_two_pods_come_to_the_bits_of_one_machine(server, undisturbed_pair):
    place = campaign.train_on_two_nodes(server, undisturbed_pair)
    assert place.startswith(f"node {kubernetes_cluster.NODE}, Kubernetes job atelier-")


def test_without_one_of_its_pods_a_job_goes_on_in_the_next_attempt(server, undisturbed_pair):
    campaign.lose_second_process(server, undisturbed_pair, "JOB_COMPLETION_INDEX")


def test_a_job_that_finds_no_room_says_so_and_is_stopped(server, kubernetes):
    name = server.start_job("huge", cores=64, shards=2)
    wait_for(lambda: "Insufficient cpu" in server.job(name).waiting_reason, 60, "the reason")
    identifier = name.removeprefix("jobs/")
    assert "Kubernetes job atelier-huge" in server.run("show", identifier).stdout
    assert server.stop() == 0
    server.start()
    wait_for(lambda: "Insufficient cpu" in server.job(name).waiting_reason, 60, "it after a restart")
    server.run("stop", identifier)
    assert server.wait_job(name).state == harness.job_pb.JOB_STATE_STOPPED


def test_a_quota_that_is_used_up_is_the_reason(server, kubernetes):
    path = "/api/v1/namespaces/atelier/resourcequotas"
    kubernetes.call("POST", path, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    try:
        wait_for(lambda: (kubernetes.get(f"{path}/none") or {}).get("status", {}).get("hard"),
                 30, "the quota to count")
        name = server.start_job("quota")
        wait_for(lambda: "exceeded quota: none" in server.job(name).waiting_reason, 60, "the reason")
    finally:
        kubernetes.call("DELETE", f"{path}/none")
    server.run("stop", name.removeprefix("jobs/"))
    server.wait_job(name)


def test_an_image_that_is_not_there_is_a_reason_and_no_time_out(kubernetes, data_dir, small_dataset,
                                                               tmp_path):
    template = kubernetes.template(tmp_path, data_dir, image="localhost/none:1")
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset},
                with_port(flags(kubernetes, template), port)) as server:
        name = server.start_job("none")
        job = server.wait_job(name, "FAILED")
        assert job.transitions[-1].reason == "REFUSED"
        assert "ErrImageNeverPull" in job.transitions[-1].message
        server.run("show", name.removeprefix("jobs/"), check=JOB_FAILED)


def test_what_kubernetes_ends_for_its_memory_is_said_so(kubernetes, data_dir, small_dataset, tmp_path):
    template = kubernetes.template(tmp_path, data_dir,
                                   command=["/bin/sh", "-c", "head -c 1000000000 /dev/zero | tail"])
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset},
                with_port(flags(kubernetes, template), port)) as server:
        job = server.wait_job(server.start_job("fat", memory_bytes=256 << 20), "FAILED")
        assert job.transitions[-1].reason == "OUT_OF_MEMORY", job.transitions
        assert "OOMKilled" in job.transitions[-1].message, job.transitions


def test_pods_that_do_not_see_the_data_directory_copy(kubernetes, data_dir, small_dataset, tmp_path,
                                                      undisturbed_copied):
    """By the template that is shipped for this. The second attempt begins with no more than what the server
    was sent, since a pod takes its volumes along."""
    job = json.loads((kubernetes_cluster.DEPLOY / "copies" / "job.json").read_text())
    template = kubernetes.template(tmp_path, job=job)
    [port] = harness.free_ports(1)

    def lose_node_of(name):
        running_pod(kubernetes, name)
        kubernetes.kill_node()
        return kubernetes.start_kubelet

    with Server(data_dir, {"small": small_dataset},
                with_port(flags(kubernetes, template, "--worker_cache_dir=/var/cache/atelier"), port)) as server:
        campaign.train_by_copies(server, undisturbed_copied, lose_node_of)
        kubernetes.wait_empty()


def test_the_token_is_in_a_secret_alone(server, kubernetes):
    name = server.start_job("secret", **SPEC)
    running_pod(kubernetes, name)
    [secret] = kubernetes.items("secrets")
    token = base64.b64decode(secret["data"]["token"]).decode()
    assert len(token) > 20
    assert token not in json.dumps(kubernetes.items("jobs")) + json.dumps(kubernetes.items("pods"))
    server.run("stop", name.removeprefix("jobs/"))
    server.wait_job(name)


def test_faults_eviction_a_lost_node_an_api_server_and_server_restarted(server, kubernetes, undisturbed):
    name = server.start_job("hard", model_name="hard", **SPEC)
    seen = Watcher(server, name)
    recovery.wait_epoch(server, name, 3)
    evict(kubernetes, running_pod(kubernetes, name))
    wait_for(lambda: len(server.job(name).attempts) == 2, 60, "a second attempt")

    further(server, name)
    running_pod(kubernetes, name)
    kubernetes.kill_node()
    wait_for(lambda: len(server.job(name).attempts) == 3, 120, "a third attempt")
    kubernetes.start_kubelet()
    running_pod(kubernetes, name)
    further(server, name)

    kubernetes.stop("apiserver", signal.SIGKILL)
    further(server, name)
    kubernetes.start_api_server()
    server.kill()
    server.start()
    job = recovery.check_same(server, name, seen.finish(), undisturbed)
    assert recovery.end_reasons(job)[0] in ("SUSPENDED", "PREEMPTED")
    assert recovery.end_reasons(job)[1] == "WORKER_LOST"
    assert recovery.end_reasons(job)[-1] == "COMPLETED"


def evict_worker(server, cluster, name):
    attempts = len(server.job(name).attempts)
    evict(cluster, running_pod(cluster, name))
    wait_for(lambda: len(server.job(name).attempts) > attempts or campaign.ended(server, name), 120,
             "another attempt")


def lose_node(server, cluster, name):
    running_pod(cluster, name)
    cluster.kill_node()
    cluster.start_kubelet()


def lose_api_server(_server, cluster, _name):
    cluster.stop("apiserver", signal.SIGKILL)
    time.sleep(random.random() * 3)  # How long it is away, the fault itself.
    cluster.start_api_server()


def lose_token(_server, cluster, _name):
    """As if the token of the service account had expired, and its successor came late."""
    cluster.token_file.write_text("expired")
    time.sleep(random.random() * 3)
    cluster.renew_token()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_random_faults(server, kubernetes, undisturbed, round_):
    campaign.play(server, kubernetes, undisturbed, round_, [evict_worker, lose_node, lose_api_server, lose_token])
