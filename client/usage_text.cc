#include "client/usage_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

// The program, the command that was typed, and for `bench classify` the command within it.
std::vector<const CLI::App*> Chosen(const CLI::App& app) {
  std::vector<const CLI::App*> chosen = {&app};
  while (true) {
    const auto next = chosen.back()->get_subcommands();
    if (next.empty()) return chosen;
    chosen.push_back(next.front());
  }
}

std::string CommandLine(const CLI::App& app) {
  std::vector<std::string> words;
  std::string line = "atelier";
  for (const CLI::App* const command : Chosen(app)) {
    if (command != &app) absl::StrAppend(&line, " ", command->get_name());
  }
  return line;
}

// Insertions, deletions, substitutions and exchanges of neighbours between two words.
std::size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<std::size_t>> steps(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) steps[i][0] = i;
  std::iota(steps[0].begin(), steps[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      steps[i][j] = std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1,
                              steps[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
    }
  }
  return steps[a.size()][b.size()];
}

// ` Did you mean X?` with the most similar of the words; empty if none is similar.
std::string DidYouMean(const std::string& typed, const std::vector<std::string>& words) {
  std::string best;
  std::size_t least = 1 + typed.size() / 4;
  for (const std::string& word : words) {
    const bool begun = typed.size() > 3 && absl::StartsWith(word, typed);
    const std::size_t distance = begun ? 1 : Distance(typed, word);
    if (distance > least || (distance == least && !best.empty())) continue;
    best = word;
    least = distance;
  }
  return best.empty() ? "" : absl::StrCat(" Did you mean ", best, "?");
}

std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const command : Chosen(app)) {
    for (const CLI::Option* const option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

bool LooksLikeOption(absl::string_view word) {
  return word.size() > 1 && word[0] == '-' && word != "--";
}

// The first word that the parser did not understand, options before others; empty if there is none.
std::string Unknown(const CLI::App& app, const std::vector<std::string>& arguments) {
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  const auto is_left = [&rest](const std::string& word) {
    return std::find(rest.begin(), rest.end(), word) != rest.end();
  };
  std::string other;
  for (const std::string& argument : arguments) {
    if (!is_left(argument)) continue;
    if (LooksLikeOption(argument)) return argument;
    if (other.empty() && argument != "--") other = argument;
  }
  return other;
}

std::string UnknownOption(const CLI::App& app, const std::string& argument) {
  const std::string name = argument.substr(0, argument.find('='));
  const std::string similar = DidYouMean(name, OptionNames(app));
  return absl::StrCat("There is no option ", EscapeControls(name), ".",
                      similar.empty()
                          ? absl::StrCat(" `", CommandLine(app), " --help` lists the options.")
                          : similar);
}

std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* const command : Chosen(app).back()->get_subcommands(/*filter=*/{})) {
    names.push_back(command->get_name());
  }
  const std::string similar = DidYouMean(word, names);
  return absl::StrCat("There is no command '", EscapeControls(word), "'.",
                      similar.empty()
                          ? absl::StrCat(" `", CommandLine(app), " --help` lists the commands.")
                          : similar);
}

// What an option of a type takes, by the type's name in the help.
std::string KindOf(const CLI::App& app, const std::string& option) {
  using Kind = std::pair<absl::string_view, absl::string_view>;
  static constexpr std::array<Kind, 6> kKinds = {{{"N", "a whole number"},
                                                  {"K", "a whole number"},
                                                  {"NUMBER", "a whole number"},
                                                  {"X", "a number"},
                                                  {"R", "a number"},
                                                  {"BOOL", "true or false"}}};
  for (const CLI::App* const command : Chosen(app)) {
    const CLI::Option* const found = command->get_option_no_throw(option);
    if (found == nullptr) continue;
    const std::string type = found->get_type_name();
    for (const auto& [name, kind] : kKinds) {
      if (name == type) return std::string(kind);
    }
  }
  return "a value that this option takes";
}

// `Could not convert: --epochs = many`, or with several values `--epochs = [many,3]`.
std::string WrongValue(const CLI::App& app, absl::string_view words) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::StripPrefix(words, "Could not convert: "), absl::MaxSplits(" = ", 1));
  if (parts.size() != 2) return std::string(words);
  // The parser took the next option for the value.
  if (absl::StartsWith(parts[1], "--")) return absl::StrCat(parts[0], " needs a value.");
  return absl::StrCat(parts[0], ": '", EscapeControls(parts[1]), "' is not ", KindOf(app, parts[0]),
                      ".");
}

std::string ParserSentence(const CLI::App& app, const CLI::ParseError& error) {
  const std::string words = error.what();
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) return WrongValue(app, words);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return absl::StrCat(words.substr(0, words.find(':')), " needs a value.");
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    const std::vector<std::string> parts = absl::StrSplit(words, " excludes ");
    return absl::StrCat(parts.front(), " and ", parts.back(), " cannot be combined.");
  }
  return absl::EndsWith(words, ".") ? words : words + ".";
}

}  // namespace

std::string UsageText(const CLI::App& app, const std::vector<std::string>& arguments,
                      const CLI::ParseError& error) {
  const std::string unknown = Unknown(app, arguments);
  if (LooksLikeOption(unknown)) return UnknownOption(app, unknown);
  const std::string help = absl::StrCat(" `", CommandLine(app), " --help` shows the usage.");
  if (absl::StartsWith(error.what(), "A subcommand is required")) {
    return unknown.empty() ? "A command is missing." + help : UnknownCommand(app, unknown);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !unknown.empty()) {
    return absl::StrCat("Unexpected argument '", EscapeControls(unknown), "'.", help);
  }
  return ParserSentence(app, error) + help;
}

}  // namespace atelier::client
