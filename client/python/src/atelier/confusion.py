"""The confusion matrix of a job. Thread-safe: nothing changes after construction."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from atelier.arrays import numpy
from atelier.v1 import job_pb2

if TYPE_CHECKING:
    import numpy as np

# Up to this many classes are shown as a matrix.
_MOST_SHOWN = 30


class Confusion:
    """Numbers of test images by true and predicted class.

    `message` has all that the server tells: metrics per class, the reliability diagram.
    """

    def __init__(self, message: job_pb2.ConfusionMatrix) -> None:
        self.message = message

    @property
    def class_names(self) -> list[str]:
        """In the order of rows and columns."""
        return list(self.message.class_names)

    @property
    def matrix(self) -> np.ndarray:
        """int64, classes × classes: images by true class (row) and predicted class (column)."""
        return numpy().array([row.counts for row in self.message.rows], dtype="int64")

    @property
    def accuracy(self) -> float:
        """The fraction of all images on the diagonal."""
        return self.message.accuracy

    def columns(self) -> dict[str, list]:
        """Precision, recall, F1 (fractions) and support (images) by class, for pandas.DataFrame."""
        metrics = self.message.class_metrics
        return {"class": self.class_names, **{
            name: [getattr(each, name) for each in metrics]
            for name in ("precision", "recall", "f1", "support")}}

    def worst(self, count: int = 5) -> list[tuple[str, str, int]]:
        """The pairs confused most often: true class, predicted class, images."""
        names = self.message.class_names
        pairs = [(names[true], names[predicted], images)
                 for true, row in enumerate(self.message.rows)
                 for predicted, images in enumerate(row.counts) if true != predicted and images > 0]
        return sorted(pairs, key=lambda pair: -pair[2])[:count]

    def __repr__(self) -> str:
        return f"<Confusion of {len(self.message.rows)} classes, accuracy {100 * self.accuracy:.2f} %>"

    def _repr_html_(self) -> str:
        if len(self.message.rows) > _MOST_SHOWN:
            return self._worst_html()
        names = [html.escape(name) for name in self.class_names]
        head = "".join(f"<th>{name}</th>" for name in names)
        rows = []
        for name, row in zip(names, self.message.rows):
            whole = max(1, sum(row.counts))
            cells = "".join(
                f"<td style='text-align:right;background:rgba(70,110,200,{count / whole:.3f})'>{count}"
                "</td>" for count in row.counts)
            rows.append(f"<tr><th>{name}</th>{cells}</tr>")
        return (f"<table><thead><tr><th>true \\ predicted</th>{head}</tr></thead>"
                f"<tbody>{''.join(rows)}</tbody></table>")

    def _worst_html(self) -> str:
        """Of many classes the pairs confused most often."""
        pairs = self.worst(_MOST_SHOWN)
        rows = "".join(
            f"<tr><td>{html.escape(true)}</td><td>{html.escape(predicted)}</td>"
            f"<td style='text-align:right'>{images}</td></tr>" for true, predicted, images in pairs)
        return (f"<p>{len(self.message.rows)} classes, accuracy {100 * self.accuracy:.2f} %. "
                "The pairs confused most often:</p><table><thead><tr><th>true</th><th>predicted</th>"
                f"<th>images</th></tr></thead><tbody>{rows}</tbody></table>")
