// Ids that make a request safe to repeat. Thread-safe.
#ifndef ATELIER_CLIENT_CALLS_REQUEST_ID_H_
#define ATELIER_CLIENT_CALLS_REQUEST_ID_H_

#include <string>

namespace atelier::client {

// 128 random bits in hexadecimal digits.
std::string RandomRequestId();

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_REQUEST_ID_H_
