#include "client/command_line.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/calls/session.h"
#include "client/commands/commands.h"
#include "client/connection_options.h"
#include "client/parser_input.h"
#include "client/terminal/ascii_stream.h"
#include "client/terminal/exit_codes.h"
#include "client/usage_text.h"

namespace atelier::client {
namespace {

constexpr int kHelpColumn = 27;

void AddGlobalOptions(CLI::App* app, Session::Options* options) {
  static const std::map<std::string, OutputFormat> kFormats = {
      {"text", OutputFormat::kText}, {"json", OutputFormat::kJson}, {"csv", OutputFormat::kCsv}};
  AddConnectionOptions(app, options);
  const auto set_format = [options](const std::string& word) {
    const auto format = kFormats.find(word);
    if (format == kFormats.end()) {
      throw CLI::ValidationError("--output",
                                 absl::StrCat("'", word, "' is not text, json or csv."));
    }
    options->format = format->second;
  };
  app->add_option_function<std::string>("--output", set_format,
                                        "text, json (one object per line) or csv [text]")
      ->type_name("FORMAT");
  app->set_version_flag("--version", "atelier " ATELIER_VERSION, "Print the version");
}

void Describe(CLI::App* app) {
  app->description("Trains, watches and serves small image classifiers.");
  app->name("atelier");
  app->set_help_flag("--help,-h", "Print this help");
  app->get_formatter()->column_width(kHelpColumn);
  app->get_formatter()->label("SUBCOMMAND", "COMMAND");
  app->get_formatter()->label("SUBCOMMANDS", "COMMANDS");
  app->get_formatter()->label("REQUIRED", "");
  app->footer(
      "Global options may also follow the command. `atelier help COMMAND` describes a "
      "command.\n\n" +
      ExamplesText({{"atelier train --preset cnn-3", "train a network and watch it"},
                    {"atelier jobs", "list running and finished jobs"},
                    {"atelier confusion JOB", "show the confusion matrix of a job's model"},
                    {"atelier classify cnn-3 shoe.png", "classify an image file"}}));
  // Inherited by the commands that are added: global options may follow them.
  app->fallthrough();
  // If an option is given twice, the last one counts, so that scripts and aliases can be
  // overridden.
  app->option_defaults()->take_last();
  app->require_subcommand(1);
}

// Rewrites a whole number for the parser: without leading zeros, which would mean octal. Returns an
// error for a number that the parser would silently reduce to the largest it can hold.
std::string AsDecimal(std::string& text) {
  const bool negative = absl::StartsWith(text, "-");
  const std::string digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit)) return "";
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return absl::StrCat(text, " is too large.");
  text = absl::StrCat(number);
  return "";
}

// Makes every integer option take decimal numbers only.
void ReadNumbersAsDecimals(CLI::App* app) {
  for (CLI::Option* const option : app->get_options()) {
    const std::string type = option->get_type_name();
    if (type == "N" || type == "NUMBER" || type == "K") {
      option->transform(CLI::Validator(AsDecimal, /*validator_desc=*/""));
    }
  }
  for (CLI::App* const command : app->get_subcommands(/*filter=*/nullptr)) {
    ReadNumbersAsDecimals(command);
  }
}

// Each line of the message is a sentence.
void PrintError(const Terminal& terminal, absl::string_view message) {
  for (const absl::string_view line : absl::StrSplit(message, '\n')) {
    terminal.err << "atelier: " << line << "\n";
  }
  terminal.err << std::flush;
}

// The name of the first option that ends with '='; empty if there is none. The parser would take
// the next word as its value, as in `--name=$UNSET --detach`.
std::string OptionWithNothing(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() > 3 && absl::StartsWith(argument, "--") &&
        argument.find('=') == argument.size() - 1) {
      return argument.substr(0, argument.size() - 1);
    }
  }
  return "";
}

int ReportUsage(const CLI::App& app, const std::vector<std::string>& arguments,
                const CLI::ParseError& error, const Terminal& terminal) {
  if (error.get_exit_code() == 0) return app.exit(error, terminal.out, terminal.err);
  PrintError(terminal, UsageText(app, arguments, error));
  return kError;
}

// `text` is for output that people read, `data` for output that programs read.
int Run(const std::vector<std::string>& typed, const Terminal& text, const Terminal& data,
        std::function<bool()> interrupted) {
  CLI::App app;
  Session::Options options;
  options.interrupted = std::move(interrupted);
  Describe(&app);
  AddGlobalOptions(&app, &options);
  CommandSet commands(&app);
  AddAllCommands(&commands);
  ReadNumbersAsDecimals(&app);
  const std::vector<std::string> arguments = ParserInput(app, typed);
  if (const std::string option = OptionWithNothing(arguments); !option.empty()) {
    PrintError(text, absl::StrCat(EscapeControls(option), " needs a value after '='."));
    return kError;
  }
  try {
    // The parser takes them in reverse order.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, arguments, error, text);
  }
  if (const auto status = ResolveConnectionOptions(app, &options); !status.ok()) {
    PrintError(text, status.message());
    return kError;
  }
  const Terminal& terminal = options.format == OutputFormat::kText ? text : data;
  Session session(terminal, std::move(options));
  const absl::StatusOr<int> code = commands.Selected()(session);
  terminal.out.flush();
  if (!code.ok()) {
    PrintError(terminal, code.status().message());
    return ExitCodeOf(code.status());
  }
  if (!terminal.out) {
    PrintError(terminal, "The output could not be written.");
    return kError;
  }
  return *code;
}

// The terminal with other streams in place of its own.
Terminal With(const Terminal& terminal, std::ostream* out, std::ostream* err) {
  return {.out = *out,
          .err = *err,
          .bytes = terminal.bytes,
          .utf8 = terminal.utf8,
          .interactive = terminal.interactive,
          .style = terminal.style,
          .width = terminal.width,
          .height = terminal.height,
          .pictures = terminal.pictures};
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, const Terminal& terminal,
                   std::function<bool()> interrupted) {
  if (terminal.utf8) return Run(arguments, terminal, terminal, std::move(interrupted));
  AsciiStream out(&terminal.out);
  AsciiStream err(&terminal.err);
  return Run(arguments, With(terminal, &out, &err), With(terminal, &terminal.out, &err),
             std::move(interrupted));
}

}  // namespace atelier::client
