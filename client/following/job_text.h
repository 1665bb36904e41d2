// Jobs as text: CSV values, table rows, and how a job ended. Thread-safe: pure
// functions.
#ifndef ATELIER_CLIENT_FOLLOWING_JOB_TEXT_H_
#define ATELIER_CLIENT_FOLLOWING_JOB_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"
#include "client/terminal/style.h"
#include "client/terminal/table.h"

namespace atelier::client {

// "training" for JOB_STATE_TRAINING.
std::string StateText(v1::JobState state);
Ink InkOf(v1::JobState state);

// What the job does: a network's name, or `import`, `evaluation` or `check`.
std::string KindText(const v1::TrainingJob& job);
// The data set it reads or imports, as `digits@3`.
std::string JobDataset(const v1::TrainingJob& job);
// How far it is: `3/20` epochs, or images.
std::string ProgressText(const v1::TrainingJob& job);
// How far a job is that is no training: `500 of 20,000 images`, or `500 images` while their number
// is not known.
std::string ImageProgress(const v1::Progress& progress);

// A job's CSV values, and their names.
std::vector<std::string> JobCsvNames();
std::vector<std::string> JobCsvValues(const v1::TrainingJob& job);

// An epoch's CSV values, and their names.
std::vector<std::string> EpochCsvNames();
std::vector<std::string> EpochCsvValues(const v1::EpochMetrics& epoch);

// How an ended job ended, in a line: "✔ completed after 1m 12s".
std::string Ending(const v1::TrainingJob& job, const Style& style);

// The code that computed a training: "kernels" or "libtorch"; "not recorded" for what an earlier
// version trained.
std::string PathText(const v1::TrainingResult& result);
// Mean F1 over the classes, and how well the probabilities are calibrated, on the test images; "not
// recorded" for what an earlier version trained.
std::string F1Text(const v1::TrainingResult& result);
std::string CalibrationText(const v1::TrainingResult& result);
// What a training began with, in words: which weights were taken, which are new, which frozen, and
// which job it continues. Empty if all weights were new.
std::string StartText(const v1::TrainingStart& start);

// The result, a row per value.
Table ResultTable(const v1::TrainingJob& job);
// What an import left out, one file per line after an empty line; empty if it left out nothing.
std::string ImportNotes(const v1::ImportResult& result, const Style& style);
// Notes, one per line after an empty line; empty if there are none.
std::string NotesText(const google::protobuf::RepeatedPtrField<std::string>& notes,
                      const Style& style);
// ` (diverged)` or ` (stopped early)` for a training that did not complete; otherwise empty.
std::string EndMark(const v1::TrainingResult& result);

// The number format that a model's dense weights are served in, and why; requires that bfloat16 was
// measured.
std::string ServingText(const v1::TrainingResult& result);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_JOB_TEXT_H_
