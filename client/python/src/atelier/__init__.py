"""Atelier in Python: train image classifiers on a server, watch them, classify straight from numpy.

    client = atelier.connect("127.0.0.1:50051")
    job = client.train(preset="cnn-1", epochs=3)
    job.wait()
    labels = job.model.classify(images).labels
"""

from importlib.metadata import version as _version

from atelier.classifying import Predictions
from atelier.client import Client, Health, connect
from atelier.comparison import Comparison, Configuration
from atelier.confusion import Confusion
from atelier.datasets import Dataset
from atelier.errors import (AlreadyExists, AtelierError, Cancelled, DataLoss, DeadlineExceeded,
                            FailedPrecondition, Internal, InvalidArgument, JobFailed, NotFound,
                            PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable,
                            Unimplemented)
from atelier.experiment import Experiment
from atelier.job import Job
from atelier.model import Explanation, Model, Picture

__version__ = _version("atelier")

__all__ = ["AlreadyExists", "AtelierError", "Cancelled", "Client", "Comparison", "Configuration",
           "Confusion", "DataLoss", "Dataset", "DeadlineExceeded", "Experiment", "Explanation",
           "FailedPrecondition", "Health", "Internal", "InvalidArgument", "Job", "JobFailed", "Model",
           "NotFound", "PermissionDenied", "Picture", "Predictions", "ResourceExhausted", "Unauthenticated",
           "Unavailable", "Unimplemented", "connect"]
