// `atelier models`: lists the models, or the versions of one.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/model_versions.h"
#include "client/calls/resource_kind.h"
#include "client/calls/spec_fields.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/following/job_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "google/protobuf/util/time_util.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

void PrintCsv(Session& session, const v1::Model& model) {
  for (const v1::ModelVersion& version : model.versions()) {
    session.Print(CsvLine(
        {version.name(), absl::StrCat(version.version()), AliasesOf(model, version.version()),
         NetworkTitle(version.spec()), version.spec().dataset(),
         Exact(version.result().test_accuracy()), Exact(version.result().test_loss()),
         absl::StrCat(version.result().parameter_count()), absl::StrCat(version.size_bytes()),
         version.sha256(), version.job(),
         google::protobuf::util::TimeUtil::ToString(version.create_time()),
         version.result().has_temperature() ? Exact(version.result().temperature()) : ""}));
  }
}

void PrintCsvTitles(Session& session) {
  session.Print(
      CsvLine({"name", "version", "aliases", "preset", "dataset", "test_accuracy", "test_loss",
               "parameter_count", "size_bytes", "sha256", "job", "create_time", "temperature"}));
}

void AddModelRow(const v1::Model& model, Table* table) {
  std::vector<std::string> aliases;
  for (const v1::ModelAlias& alias : model.aliases()) {
    aliases.push_back(absl::StrCat(alias.alias(), "=", alias.version()));
  }
  const v1::ModelVersion none;
  const v1::ModelVersion& newest = model.versions().empty() ? none : model.versions(0);
  table->AddRow({std::string(Leaf(model.name())),
                 absl::StrCat(model.version_count()),
                 absl::StrCat(newest.version()),
                 NetworkTitle(newest.spec()),
                 newest.spec().dataset(),
                 Percent(newest.result().test_accuracy()),
                 absl::StrJoin(aliases, " "),
                 {Age(ToTime(newest.create_time()), absl::Now()), Ink::kDim}});
}

absl::StatusOr<int> ListModels(Session& session) {
  Table table({{"model"},
               {"versions", Align::kRight},
               {"newest", Align::kRight},
               {"network"},
               {"data set", Align::kLeft, true},
               {"test acc", Align::kRight},
               {"aliases"},
               {"stored", Align::kLeft, true}});
  v1::ListModelsRequest request;
  if (session.format() == OutputFormat::kCsv) PrintCsvTitles(session);
  do {
    const auto page = session.Call(&ModelService::ListModels, request);
    if (!page.ok()) return page.status();
    for (const v1::Model& model : page->models()) {
      if (session.format() == OutputFormat::kJson) session.PrintJson(model);
      if (session.format() == OutputFormat::kCsv) PrintCsv(session, model);
      if (session.text()) AddModelRow(model, &table);
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (session.text()) {
    session.Print(table.empty()
                      ? absl::StrCat("There are no models. `",
                                     session.Suggest("train --preset cnn-1"), "` makes one.\n")
                      : table.Render(session.style(), session.terminal().width()));
  }
  return kDone;
}

std::string TemperatureText(const v1::TrainingResult& result) {
  return result.has_temperature() ? absl::StrFormat("%.3f", result.temperature()) : "–";
}

void PrintVersions(Session& session, const v1::Model& model) {
  Table table({{"version"},
               {"aliases"},
               {"network"},
               {"test acc", Align::kRight},
               {"test loss", Align::kRight, true},
               {"temperature", Align::kRight, true},
               {"epochs", Align::kRight, true},
               {"computed by", Align::kLeft, true},
               {"size", Align::kRight, true},
               {"job"},
               {"stored", Align::kLeft, true}});
  for (const v1::ModelVersion& version : model.versions()) {
    table.AddRow({absl::StrCat(Leaf(model.name()), "@", version.version()),
                  AliasesOf(model, version.version()),
                  NetworkTitle(version.spec()),
                  Percent(version.result().test_accuracy()),
                  Loss(version.result().test_loss()),
                  TemperatureText(version.result()),
                  absl::StrCat(version.result().epochs_trained()),
                  PathText(version.result()),
                  Bytes(version.size_bytes()),
                  absl::StrCat(Leaf(version.job()), EndMark(version.result())),
                  {Age(ToTime(version.create_time()), absl::Now()), Ink::kDim}});
  }
  session.Print(table.Render(session.style(), session.terminal().width()));
}

void PrintVersion(Session& session, const v1::Model& model, const v1::ModelVersion& version) {
  Table table({{""}, {""}});
  const auto add = [&table](const char* what, const std::string& value) {
    table.AddRow({{absl::StrCat("  ", what), Ink::kDim}, value});
  };
  const v1::ImageShape& shape = version.image_shape();
  add("aliases", AliasesOf(model, version.version()));
  add("network", NetworkTitle(version.spec()));
  if (version.result().has_start()) add("start", StartText(version.result().start()));
  add("data set", version.spec().dataset());
  add("seed", absl::StrCat(version.spec().seed()));
  add("test accuracy", Percent(version.result().test_accuracy()));
  if (version.result().has_test_top5_accuracy()) {
    add("top-5 accuracy", Percent(version.result().test_top5_accuracy()));
  }
  add("test loss", Loss(version.result().test_loss()));
  add("F1", F1Text(version.result()));
  add("calibration", CalibrationText(version.result()));
  add("parameters", Count(version.result().parameter_count()));
  add("computed by", PathText(version.result()));
  if (version.result().has_bfloat16_validation_accuracy()) {
    add("served in", ServingText(version.result()));
  }
  add("images",
      absl::StrCat(shape.height(), "×", shape.width(), ", ", Count(shape.channels(), "channel")));
  add("classes", NameList(version.class_names()));
  add("made by", absl::StrCat(Leaf(version.job()), EndMark(version.result())));
  if (!version.creator().empty()) add("for", version.creator());
  add("stored", DateTime(ToTime(version.create_time())));
  add("archive", absl::StrCat(Bytes(version.size_bytes()), ", SHA-256 ", version.sha256()));
  if (!version.result().archive_uri().empty()) add("kept at", version.result().archive_uri());
  session.Print(session.style().Paint(Ink::kBold, ShortModel(version.name())) + "\n" +
                table.Render(session.style(), session.terminal().width()));
}

absl::StatusOr<int> ShowModel(Session& session, const std::string& text) {
  const auto reference = ParseModel(text);
  if (!reference.ok()) return reference.status();
  const auto model = GetModel(session, *reference);
  if (!model.ok()) return model.status();
  const bool one = !reference->version.empty();
  const auto version = FindVersion(*model, reference->version);
  if (one && !version.ok()) return version.status();
  switch (session.format()) {
    case OutputFormat::kText:
      if (one) PrintVersion(session, *model, **version);
      if (!one) PrintVersions(session, *model);
      break;
    case OutputFormat::kJson:
      if (one) session.PrintJson(**version);
      if (!one) session.PrintJson(*model);
      break;
    case OutputFormat::kCsv:
      PrintCsvTitles(session);
      PrintCsv(session, *model);
      break;
  }
  return kDone;
}

}  // namespace

void AddModels(CommandSet* commands) {
  const auto model = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"models",
       "List models or the versions of a model",
       "",
       {{"atelier models", ""},
        {"atelier models cnn-3", "its versions"},
        {"atelier models cnn-3@production", "one version"}}},
      [model](Session& session) {
        return model->empty()
                   ? ListModels(session)
                   : ExplainKind(session, *model, {Kind::kModel}, ShowModel(session, *model));
      });
  AddModelArgument(command, model.get(), "NAME or NAME@VERSION")->required(false);
}

}  // namespace atelier::client
