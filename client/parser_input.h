// Rewrites the arguments that were typed into those that the parser reads. Thread-safe: a pure
// function.
#ifndef ATELIER_CLIENT_PARSER_INPUT_H_
#define ATELIER_CLIENT_PARSER_INPUT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace atelier::client {

// Options may be spelled with underscores, `--batch_size`. `--model` comes directly after the
// command, so that it takes the place of the argument MODEL wherever it was typed.
std::vector<std::string> ParserInput(const CLI::App& app, std::vector<std::string> arguments);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_PARSER_INPUT_H_
