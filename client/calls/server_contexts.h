// The client's configuration file: named servers and how to connect to each.
//
//   current = lab          # used where nothing else says which server
//
//   [lab]
//   server = train.example.com:50051
//   tls-ca = ca.crt
//   token-file = ~/.config/atelier/lab.token
//
// The keys are the options' names. Relative paths begin at the file's folder. Thread-safe: free
// functions.
#ifndef ATELIER_CLIENT_CALLS_SERVER_CONTEXTS_H_
#define ATELIER_CLIENT_CALLS_SERVER_CONTEXTS_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::client {

// Values of connection options by their names without dashes: server, tls-ca, tls-cert, tls-key,
// token-file.
using ServerContext = std::map<std::string, std::string>;

struct ServerContexts {
  std::string current;  // Empty: none.
  std::map<std::string, ServerContext> by_name;
};

// $ATELIER_CONFIG, or atelier/config in $XDG_CONFIG_HOME or ~/.config; empty if there is no home.
std::string ContextsPath();

// What a file says. INVALID_ARGUMENT naming the line and what is wrong with it. `folder` is the
// file's.
absl::StatusOr<ServerContexts> ParseContexts(absl::string_view text, const std::string& folder);

// The context of that name, or for an empty name the current one, from the file at `path`; nothing
// if there is no file or no current one and no name is asked for. NOT_FOUND, naming those there
// are, for an unknown name.
absl::StatusOr<std::optional<ServerContext>> FindContext(const std::string& path,
                                                         const std::string& name);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_SERVER_CONTEXTS_H_
