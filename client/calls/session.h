// The context of a command: the terminal, the output format, and the connection, which is made when
// it is first needed. Used by one thread.
#ifndef ATELIER_CLIENT_CALLS_SESSION_H_
#define ATELIER_CLIENT_CALLS_SESSION_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/calls/connection.h"
#include "client/terminal/display_text.h"
#include "client/terminal/output.h"
#include "client/terminal/terminal.h"

namespace atelier::client {

class Session {
 public:
  struct Options {
    std::string server = "127.0.0.1:50051";
    TlsOptions tls;
    std::string token_file = {};  // Of the caller's token; empty for none.
    std::string context = {};     // That was asked for by name.
    // The connection options that were given, such as ` --server=x`, for suggested commands.
    std::string connection_words;
    OutputFormat format = OutputFormat::kText;
    // Whether Ctrl-C was pressed.
    std::function<bool()> interrupted = [] { return false; };
  };

  Session(const Terminal& terminal, Options options)
      : terminal_(terminal), options_(std::move(options)) {}

  const Terminal& terminal() const { return terminal_; }
  const Style& style() const { return terminal_.style; }
  OutputFormat format() const { return options_.format; }
  bool text() const { return options_.format == OutputFormat::kText; }
  bool interrupted() const { return options_.interrupted(); }

  // Connects on the first call; UNAVAILABLE with the reason if that fails.
  absl::StatusOr<Connection*> Connect();

  // A further connection to the same server, for calls that should not share one.
  absl::StatusOr<std::unique_ptr<Connection>> Reconnect() const;

  // Makes a unary call. For text output, control characters in the response are escaped.
  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Service::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                const Request& request, const CallOptions& options = {}) {
    auto connection = Connect();
    if (!connection.ok()) return connection.status();
    auto response = (*connection)->Call(method, request, options);
    if (response.ok() && text()) EscapeControls(&*response);
    return response;
  }

  // Prints to standard output.
  void Print(absl::string_view text) { terminal_.out << text; }
  void PrintJson(const google::protobuf::Message& message) { Print(JsonLine(message)); }

  // A command that the user can type: `atelier watch x`, with --server and the like if they are
  // needed.
  std::string Suggest(absl::string_view words) const;

 private:
  const Terminal& terminal_;
  const Options options_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_SESSION_H_
