// How an object store is spoken to by libcurl. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_OBJECTS_STORE_TRANSPORT_H_
#define ATELIER_SERVER_OBJECTS_STORE_TRANSPORT_H_

#include "server/http/curl_transport.h"
#include "server/objects/aws_credentials.h"

namespace atelier::objects {

// By the environment's proxies and CAs. `timeout_ms` is a request's, 0 for none.
inline http::CurlTransport::Options TransportOptions(const Environment& environment,
                                                     long timeout_ms) {
  http::CurlTransport::Options options;
  options.proxies = true;
  options.authorities = environment("AWS_CA_BUNDLE");
  options.timeout_ms = timeout_ms;
  return options;
}

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_STORE_TRANSPORT_H_
