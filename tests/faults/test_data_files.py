"""Files that are cut off while they are in use."""

import harness


def test_a_data_set_that_is_cut_off_costs_an_attempt_and_nothing_else(server):
    name = server.start_job("cut-off", preset="cnn-1", epochs=6, patience=6, seed=11)
    server.wait_event(name, "step")
    files = list((server.data_dir / "cache" / "datasets").glob("*.dataset"))
    assert files
    for file in files:
        with open(file, "r+b") as opened:
            opened.truncate(1)
    dataset = server.job(name).spec.dataset
    images = server.dataset_service.GetImages(harness.dataset_pb.GetImagesRequest(
        name=f"datasets/{dataset}", indices=[0, 1]), timeout=120)
    assert len(images.images) == 2 and all(image.data for image in images.images)
    job = server.wait_job(name)
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED, job.transitions
    assert [attempt.end_reason for attempt in job.attempts][0] == "WORKER_LOST"
    assert "SIGBUS" in str(job.transitions)
    log = server.data_dir / name / "attempts" / "1" / "worker.log"
    assert "was truncated" in log.read_text()
