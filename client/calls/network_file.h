// Networks as files: protobuf JSON of atelier.v1.Network. Thread-safe: free functions.
#ifndef ATELIER_CLIENT_CALLS_NETWORK_FILE_H_
#define ATELIER_CLIENT_CALLS_NETWORK_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "atelier/v1/network.pb.h"

namespace atelier::client {

// A network without a name is called as the file. INVALID_ARGUMENT, a sentence that begins with the
// path, if the file cannot be read, is larger than 1 MiB, or is not such JSON.
absl::StatusOr<v1::Network> ReadNetworkFile(const std::string& path);

// The JSON of such a file, in lines, ended by a newline.
std::string NetworkJson(const v1::Network& network);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_NETWORK_FILE_H_
