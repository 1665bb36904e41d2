#include "server/access/failed_attempts.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <climits>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace atelier::access {
namespace {

constexpr std::size_t kNetworkBytes = 8;  // Of an IPv6 address: what one customer has.

bool IsPowerOfTwo(int number) { return (number & (number - 1)) == 0; }

}  // namespace

std::string FailedAttempts::AddressOf(absl::string_view peer) {
  absl::string_view address = peer.substr(0, peer.rfind(':'));
  // gRPC writes the brackets of IPv6 as in an URI.
  std::string plain = absl::StrReplaceAll(address, {{"%5B", "["}, {"%5D", "]"}});
  absl::string_view inner = plain;
  if (!absl::ConsumePrefix(&inner, "ipv6:[") || !absl::ConsumeSuffix(&inner, "]")) return plain;
  in6_addr bytes;
  if (inet_pton(AF_INET6, std::string(inner.substr(0, inner.find('%'))).c_str(), &bytes) != 1) {
    return plain;
  }
  return "ipv6:" + std::string(reinterpret_cast<const char*>(bytes.s6_addr), kNetworkBytes);
}

FailedAttempts::Verdict FailedAttempts::Note(absl::string_view peer) {
  const std::string address = AddressOf(peer);
  const absl::Duration now = clock_->Elapsed();
  MutexLock lock(&mutex_);
  auto found = entries_.find(address);
  if (found == entries_.end() && entries_.size() >= options_.max_addresses) {
    absl::erase_if(entries_,
                   [&](const auto& entry) { return now - entry.second.last > options_.forgotten; });
    if (entries_.size() >= options_.max_addresses) return {.delay = options_.delay};
  }
  if (found == entries_.end()) found = entries_.emplace(address, Entry()).first;
  Entry& entry = found->second;
  if (now - entry.last > options_.forgotten) entry.attempts = 0;
  entry.last = now;
  if (entry.attempts < INT_MAX) ++entry.attempts;
  return {.delay = entry.attempts > options_.free ? options_.delay : absl::ZeroDuration(),
          .worth_a_line = IsPowerOfTwo(entry.attempts),
          .attempts = entry.attempts};
}

}  // namespace atelier::access
