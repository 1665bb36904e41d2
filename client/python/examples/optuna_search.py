#!/usr/bin/env python3
"""Searches for good options with Optuna, whose pruner stops trainings that will not be good.

    pip install optuna
    optuna_search.py --preset cnn-1 --trials 30      # the server is $ATELIER_SERVER or --server

Optuna's sampler proposes options, each of which becomes a job. While the job runs, its epochs are told
to Optuna's pruner; a job that the pruner gives up is stopped. The search maximizes the validation
accuracy; the test images choose nothing.
"""

import argparse

import atelier
import optuna


def suggest(trial):
    """The options of one job."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
    }


def run(client, trial, fixed):
    """Trains with the options of a trial; returns the best validation accuracy, a fraction."""
    job = client.train(name="search", **fixed, **suggest(trial))
    trial.set_user_attr("job", job.id)
    best = 0.0
    try:
        for epoch in job.metrics():
            best = max(best, epoch.validation_accuracy)
            trial.report(epoch.validation_accuracy, epoch.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    except BaseException:  # Pruned, or Ctrl-C: nobody waits for the job any more.
        if not job.refresh().ended:
            job.stop()
        raise
    job.wait(progress=False)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", help="HOST:PORT [$ATELIER_SERVER or 127.0.0.1:50051]")
    parser.add_argument("--preset", default="cnn-1", help="the network [cnn-1]")
    parser.add_argument("--dataset", default="fashion-mnist", help="the data set [fashion-mnist]")
    parser.add_argument("--epochs", type=int, default=10, help="at most so many each [10]")
    parser.add_argument("--trials", type=int, default=30, help="how many trainings [30]")
    parser.add_argument("--seed", type=int, default=1, help="of the search and the trainings [1]")
    options = parser.parse_args()

    study = optuna.create_study(direction="maximize",
                                sampler=optuna.samplers.TPESampler(seed=options.seed),
                                pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1))
    with atelier.connect(options.server) as client:
        fixed = {"preset": options.preset, "dataset": options.dataset, "epochs": options.epochs,
                 "seed": options.seed}
        study.optimize(lambda trial: run(client, trial, fixed), n_trials=options.trials)

    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    print(f"{len(study.trials)} trainings, {len(pruned)} of them stopped early")
    print(f"best validation accuracy {100 * study.best_value:.2f} %: {study.best_params}, "
          f"job {study.best_trial.user_attrs['job']}")


if __name__ == "__main__":
    main()
