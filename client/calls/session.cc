#include "client/calls/session.h"

#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

}  // namespace

absl::StatusOr<Connection*> Session::Connect() {
  if (connection_ == nullptr) {
    auto connection = Reconnect();
    if (!connection.ok()) return connection.status();
    connection_ = *std::move(connection);
  }
  return connection_.get();
}

absl::StatusOr<std::unique_ptr<Connection>> Session::Reconnect() const {
  auto connection = Connection::Create(options_.server, options_.tls, options_.token_file);
  if (!connection.ok()) return connection.status();
  const absl::Status ready = (*connection)->WaitUntilReady(kConnectTimeout);
  if (!ready.ok()) return ready;
  return connection;
}

std::string Session::Suggest(absl::string_view words) const {
  return absl::StrCat("atelier ", words, options_.connection_words);
}

}  // namespace atelier::client
