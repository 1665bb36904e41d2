// `atelier recipes`: the named sets of training defaults.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_help.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

std::string WordOf(const v1::RecipeDefaults& recipe) {
  return EnumWord(v1::Recipe_descriptor(), recipe.recipe());
}

// The fields that a recipe has a value for, but for the recipe itself.
std::vector<SpecField> FieldsOf(const v1::ListRecipesResponse& list) {
  std::vector<SpecField> fields;
  for (const SpecField field : FieldsInHelpOrder()) {
    const bool given = std::any_of(list.recipes().begin(), list.recipes().end(),
                                   [field](const v1::RecipeDefaults& recipe) {
                                     return !PlainValueText(recipe.defaults(), field).empty();
                                   });
    if (given && field->name() != "recipe") fields.push_back(field);
  }
  return fields;
}

Table Descriptions(const v1::ListRecipesResponse& list) {
  Table table({{"recipe"}, {""}});
  for (const v1::RecipeDefaults& recipe : list.recipes()) {
    table.AddRow({WordOf(recipe), recipe.description()});
  }
  return table;
}

// A row for each option, a column for each recipe.
Table Values(const v1::ListRecipesResponse& list) {
  std::vector<Table::Column> columns = {{"default of"}};
  for (const v1::RecipeDefaults& recipe : list.recipes()) columns.push_back({WordOf(recipe)});
  Table table(std::move(columns));
  for (const SpecField field : FieldsOf(list)) {
    std::vector<Table::Cell> cells = {OptionOf(field)};
    for (const v1::RecipeDefaults& recipe : list.recipes()) {
      cells.emplace_back(ValueText(recipe.defaults(), field));
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

void PrintText(Session& session, const v1::ListRecipesResponse& list) {
  const int width = session.terminal().width();
  session.Print(absl::StrCat(Descriptions(list).Render(session.style(), width), "\n",
                             Values(list).Render(session.style(), width)));
}

void PrintCsv(Session& session, const v1::ListRecipesResponse& list) {
  const std::vector<SpecField> fields = FieldsOf(list);
  std::vector<std::string> names = {"recipe", "description"};
  for (const SpecField field : fields) names.push_back(field->name());
  session.Print(CsvLine(names));
  for (const v1::RecipeDefaults& recipe : list.recipes()) {
    std::vector<std::string> values = {WordOf(recipe), recipe.description()};
    for (const SpecField field : fields) {
      values.push_back(PlainValueText(recipe.defaults(), field));
    }
    session.Print(CsvLine(values));
  }
}

absl::StatusOr<int> ListRecipes(Session& session) {
  const auto list = session.Call(&TrainingService::ListRecipes, v1::ListRecipesRequest());
  if (!list.ok()) return list.status();
  switch (session.format()) {
    case OutputFormat::kText:
      PrintText(session, *list);
      break;
    case OutputFormat::kJson:
      for (const v1::RecipeDefaults& recipe : list->recipes()) session.PrintJson(recipe);
      break;
    case OutputFormat::kCsv:
      PrintCsv(session, *list);
      break;
  }
  return kDone;
}

}  // namespace

void AddRecipes(CommandSet* commands) {
  commands->Add({"recipes",
                 "List the recipes with their training defaults",
                 "An option of train that is given takes precedence over the recipe.",
                 {{"atelier recipes", ""}}},
                [](Session& session) { return ListRecipes(session); });
}

}  // namespace atelier::client
