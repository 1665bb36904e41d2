// The options that say which server is meant and how to connect to it: from the command line, a
// context of the configuration file, or the environment. Used by one thread.
#ifndef ATELIER_CLIENT_CONNECTION_OPTIONS_H_
#define ATELIER_CLIENT_CONNECTION_OPTIONS_H_

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "client/calls/session.h"

namespace atelier::client {

// Adds --server, --tls-ca, --tls-cert, --tls-key, --token-file and --context. The environment
// variables are their defaults.
void AddConnectionOptions(CLI::App* app, Session::Options* options);

// After parsing. Where a context is used, named by --context or ATELIER_CONTEXT or else the file's
// current one unless --server or ATELIER_SERVER is given, it takes the place of the environment as
// a whole, so that no file or token meant for one server is used for another. Also sets
// connection_words.
absl::Status ResolveConnectionOptions(const CLI::App& app, Session::Options* options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CONNECTION_OPTIONS_H_
