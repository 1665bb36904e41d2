// What the network of a training is called, for all three programs. Thread-safe: a pure function.
#ifndef ATELIER_PROTO_LIFECYCLE_NETWORK_TITLE_H_
#define ATELIER_PROTO_LIFECYCLE_NETWORK_TITLE_H_

#include <string>

#include "atelier/v1/job.pb.h"

namespace atelier {

// Its preset, else the name of its layers, else `network`. Empty if the specification has none, as
// that of a deleted job.
std::string NetworkTitle(const v1::TrainingSpec& spec);

}  // namespace atelier

#endif  // ATELIER_PROTO_LIFECYCLE_NETWORK_TITLE_H_
