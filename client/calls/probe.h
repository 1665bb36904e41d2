// Finds out why gRPC could not connect: gRPC says "Socket closed" for most reasons. Opens a second
// connection by hand, for at most a few seconds. Thread-safe: a free function.
#ifndef ATELIER_CLIENT_CALLS_PROBE_H_
#define ATELIER_CLIENT_CALLS_PROBE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace atelier::client {

// PEM files of a client; empty where there is none.
struct ProbeFiles {
  std::string authorities;
  std::string certificate;
  std::string key;
};

struct Probe {
  enum class Protocol {
    kNone,     // Nothing could be connected to.
    kSilent,   // Accepts the connection, then closes it or says nothing.
    kTls,      // TLS.
    kHttp1,    // HTTP/1, such as a web page.
    kHttp2,    // HTTP/2 without TLS, as gRPC uses it.
    kUnknown,  // Answers with anything else.
  };
  Protocol protocol = Protocol::kNone;

  // With TLS: why the server's certificate is not trusted, the end of a sentence that begins with
  // "its certificate"; empty if it is trusted or no authorities were given.
  std::string distrust;
  // With TLS: the server refused the client's certificate, or asked in vain for one.
  bool refused_client = false;
};

// `address` is HOST:PORT or unix:PATH. With `files.authorities` the server is expected to use TLS.
Probe ProbeServer(absl::string_view address, const ProbeFiles& files);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_PROBE_H_
