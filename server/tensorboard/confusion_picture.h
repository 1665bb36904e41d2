// A confusion matrix as a picture whose axes have the names of the classes. Thread-safe: a pure
// function.
#ifndef ATELIER_SERVER_TENSORBOARD_CONFUSION_PICTURE_H_
#define ATELIER_SERVER_TENSORBOARD_CONFUSION_PICTURE_H_

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "server/tensorboard/summaries.h"

namespace atelier::tensorboard {

// A row for each true class, a column for each predicted one; a cell's grey is the share of the
// true class's images, from black for none to white for all. Names are cut after 20 characters, and
// characters beyond ASCII stand as '?'; with more than 100 classes there are none. INTERNAL for a
// matrix that is not square or empty.
absl::StatusOr<Picture> DrawConfusion(const v1::ConfusionMatrix& matrix);

}  // namespace atelier::tensorboard

#endif  // ATELIER_SERVER_TENSORBOARD_CONFUSION_PICTURE_H_
