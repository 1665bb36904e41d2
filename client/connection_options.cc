#include "client/connection_options.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/calls/server_contexts.h"

namespace atelier::client {
namespace {

// A connection option: its name without dashes, which is also its key in a context.
struct ConnectionOption {
  const char* name;
  const char* variable;
  const char* type;
  const char* meaning;
  std::string* value;
};

std::vector<ConnectionOption> OptionsOf(Session::Options* options) {
  return {{"server", "ATELIER_SERVER", "HOST:PORT",
           "or unix:PATH, or several replicas: HOST:PORT,… [$ATELIER_SERVER or 127.0.0.1:50051]",
           &options->server},
          {"tls-ca", "ATELIER_TLS_CA", "FILE", "Use TLS; trust these CAs [$ATELIER_TLS_CA]",
           &options->tls.authorities},
          {"tls-cert", "ATELIER_TLS_CERT", "FILE",
           "Client certificate for mutual TLS [$ATELIER_TLS_CERT]", &options->tls.certificate},
          {"tls-key", "ATELIER_TLS_KEY", "FILE", "Its private key [$ATELIER_TLS_KEY]",
           &options->tls.key},
          {"token-file", "ATELIER_TOKEN_FILE", "FILE", "File with your token [$ATELIER_TOKEN_FILE]",
           &options->token_file},
          {"context", "ATELIER_CONTEXT", "NAME",
           "Server of ~/.config/atelier/config [$ATELIER_CONTEXT]", &options->context}};
}

bool IsGiven(const CLI::App& app, const std::string& name) {
  return app.get_option("--" + name)->count() > 0;
}

bool IsInEnvironment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

void AddConnectionOptions(CLI::App* app, Session::Options* options) {
  for (const ConnectionOption& option : OptionsOf(options)) {
    if (IsInEnvironment(option.variable)) *option.value = std::getenv(option.variable);
    app->add_option(absl::StrCat("--", option.name), *option.value, option.meaning)
        ->type_name(option.type);
  }
}

absl::Status ResolveConnectionOptions(const CLI::App& app, Session::Options* options) {
  const bool server_given = IsGiven(app, "server");
  // What is typed beats what is set: --server means no context that the environment names.
  const bool named = IsGiven(app, "context") || (!options->context.empty() && !server_given);
  std::optional<ServerContext> context;
  if (named || !(server_given || IsInEnvironment("ATELIER_SERVER"))) {
    auto found = FindContext(ContextsPath(), named ? options->context : "");
    if (!found.ok()) return found.status();
    context = *std::move(found);
  }
  const std::string default_server = Session::Options().server;
  for (const ConnectionOption& option : OptionsOf(options)) {
    const std::string name = option.name;
    if (IsGiven(app, name)) {
      absl::StrAppend(&options->connection_words, " --", name, "=", *option.value);
    } else if (context.has_value() && name != "context") {
      const auto value = context->find(name);
      *option.value = value != context->end() ? value->second
                      : name == "server"      ? default_server
                                              : "";
    }
  }
  return absl::OkStatus();
}

}  // namespace atelier::client
