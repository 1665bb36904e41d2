// What is wrong with a command line that the parser refused, as a sentence. Thread-safe: a pure
// function.
#ifndef ATELIER_CLIENT_USAGE_TEXT_H_
#define ATELIER_CLIENT_USAGE_TEXT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace atelier::client {

// `app` has parsed `arguments` and thrown `error`. Names what is wrong, with which value, and what
// would be right; an unknown option or command comes with the most similar one that there is.
std::string UsageText(const CLI::App& app, const std::vector<std::string>& arguments,
                      const CLI::ParseError& error);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_USAGE_TEXT_H_
