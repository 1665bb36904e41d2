// How the server's two addresses are protected. Thread-safe: free functions.
#ifndef ATELIER_SERVER_CREDENTIALS_H_
#define ATELIER_SERVER_CREDENTIALS_H_

#include <memory>

#include "grpcpp/security/server_credentials.h"
#include "server/server_options.h"

namespace atelier::server {

// For clients: TLS where the options name certificates. They are read again when their files
// change; connections that exist keep theirs.
std::shared_ptr<grpc::ServerCredentials> ClientCredentials(const ServerOptions& options);

// For workers: TLS where they report by TCP and the options name certificates. Workers show a token
// and no certificate. A Unix socket is guarded by its file's permissions alone.
std::shared_ptr<grpc::ServerCredentials> WorkerCredentials(const ServerOptions& options);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_CREDENTIALS_H_
