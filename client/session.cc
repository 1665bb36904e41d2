#include "client/session.h"

#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

}  // namespace

absl::StatusOr<Connection*> Session::Connect() {
  if (connection_ == nullptr) {
    auto connection = Connection::Create(options_.server, options_.tls);
    if (!connection.ok()) return connection.status();
    const absl::Status ready = (*connection)->WaitUntilReady(kConnectTimeout);
    if (!ready.ok()) return ready;
    connection_ = *std::move(connection);
  }
  return connection_.get();
}

std::string Session::Suggest(absl::string_view words) const {
  return absl::StrCat("atelier ", words, options_.connection_words);
}

}  // namespace atelier::client
