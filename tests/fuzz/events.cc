// What the data directory holds of messages: rows of the database (events, jobs, versions, …) and
// files beside it. An input replaces some (entries.h); its messages take turns. Then a server
// starts over them and is asked for all of it, and the directory is checked and repaired. Errors
// there may be, of every kind.
#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "atelier/published/v1/registry.pb.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "google/protobuf/text_format.h"
#include "server/registry/registry_file.h"
#include "server/upkeep/check.h"
#include "tests/fuzz/entries.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/known_names.h"
#include "tests/fuzz/scratch_server.h"

namespace atelier::fuzz {
namespace {

namespace files = std::filesystem;
using google::protobuf::Message;

struct TextCall {
  const char* method;
  const char* request;
};

// Calls that leave what the backup has not: jobs that have not ended, an experiment, an upload.
constexpr TextCall kMaking[] = {
    {"TrainingService/StartTraining",
     "spec { preset: 'cnn-1' batch_size: 8 dataset: 'tiny' } notify_url: 'https://127.0.0.1:9/'"},
    {"ExperimentService/StartExperiment",
     "configurations { preset: 'cnn-1' batch_size: 8 dataset: 'tiny' } seeds: 1 seeds: 2"},
    {"DatasetService/CreateUpload",
     "dataset: 'datasets/more' size_bytes: 9 source_name: 'a.csv' sha256: "
     "'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'"}};

// Calls that read. JOB stands for each job.
constexpr TextCall kOfEveryJob[] = {
    {"TrainingService/GetJob", "name: 'JOB'"},
    {"TrainingService/StreamMetrics", "name: 'JOB'"},
    {"TrainingService/StreamMetrics", "name: 'JOB' after_number: 3 epochs_only: true"},
    {"TrainingService/GetConfusionMatrix", "name: 'JOB'"},
    {"TrainingService/GetPredictions", "name: 'JOB'"},
    {"TrainingService/GetPredictions", "name: 'JOB' wrong_only: true page_size: 1"},
    {"TrainingService/GetPredictions", "name: 'JOB' true_class: 1 predicted_class: 0"},
    {"TrainingService/StreamLogs", "name: 'JOB'"},
    {"TrainingService/DownloadTensorboard", "name: 'JOB'"},
    {"TrainingService/StartTraining", "like: 'JOB'"},
    {"TrainingService/StartTraining", "continue_job: 'JOB' more_epochs: 1"}};
constexpr TextCall kReading[] = {
    {"TrainingService/ListJobs", ""},
    {"TrainingService/ListPresets", "dataset: 'datasets/tiny'"},
    {"ModelService/ListModels", ""},
    {"ModelService/GetModel", "name: 'models/tiny'"},
    {"ModelService/DownloadModel", "name: 'models/tiny' format: MODEL_FORMAT_ONNX"},
    {"ModelService/GetFilters", "name: 'models/tiny'"},
    {"ModelService/SetAlias", "name: 'models/tiny' alias: 'best' version: 1"},
    {"ModelService/EvaluateModel", "name: 'models/tiny/versions/1' dataset: 'datasets/tiny'"},
    {"TrainingService/StartTraining",
     "spec { start_from: 'models/tiny' batch_size: 8 dataset: 'tiny' }"},
    {"InferenceService/Classify", "model: 'models/tiny' raw { pixels: 'abcdefghijklmnop' }"},
    {"DatasetService/ListDatasets", ""},
    {"DatasetService/GetDataset", "name: 'datasets/tiny'"},
    {"DatasetService/GetImages", "name: 'datasets/tiny' split: DATASET_SPLIT_TEST indices: 0"},
    {"DatasetService/GetImageSheet", "name: 'datasets/tiny' split: DATASET_SPLIT_TEST"},
    {"DatasetService/GetUpload", "name: 'uploads/made'"},
    {"DatasetService/ImportDataset", "upload: 'uploads/made'"},
    {"ExperimentService/ListExperiments", ""},
    {"ExperimentService/GetExperiment", "name: 'experiments/made'"},
    {"ExperimentService/StreamExperiment", "name: 'experiments/made'"},
    {"ExperimentService/StopExperiment", "name: 'experiments/made'"},
    {"MonitoringService/GetMetrics", ""},
    {"AdminService/Backup", ""},
    {"TrainingService/StopJob", "name: 'jobs/made'"},
    {"TrainingService/DeleteJob", "name: 'jobs/tiny-20261130-071947'"},
    {"ModelService/DeleteModel", "name: 'models/tiny/versions/1' force: true"},
    {"DatasetService/DeleteDataset", "name: 'datasets/tiny' force: true"}};
constexpr const char* kJobs[] = {"jobs/tiny-20261130-071947", "jobs/import-tiny-20261130-071943",
                                 "jobs/made"};

// Regular files alone: servers leave sockets.
void CopyFiles(const std::string& from, const std::string& to) {
  files::remove_all(to);
  files::create_directories(to);
  for (const auto& entry : files::recursive_directory_iterator(from)) {
    const files::path target = to / files::relative(entry.path(), from);
    if (entry.is_directory()) files::create_directories(target);
    if (entry.is_regular_file()) files::copy_file(entry.path(), target);
  }
}

// The columns that make a row of a table one.
const char* KeyOf(absl::string_view table) {
  if (table == "events") return "job, number";
  if (table == "evaluations") return "job";
  if (table == "versions") return "model, version";
  if (table == "dataset_versions") return "dataset, version";
  return "key";
}

// Gives a message that says nothing of what it is the name and numbers of the one in its place, by
// which it is taken for that one.
std::string Renamed(const Message* prototype, const std::string& bytes, const std::string& before) {
  if (prototype == nullptr) return bytes;
  const std::unique_ptr<Message> message(prototype->New()), row(prototype->New());
  if (!message->ParseFromString(bytes) || !row->ParseFromString(before)) return bytes;
  const auto* const reflection = message->GetReflection();
  for (const char* const name : {"name", "version", "number"}) {
    const auto* const field = prototype->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || reflection->HasField(*message, field)) continue;
    if (field->type() == google::protobuf::FieldDescriptor::TYPE_STRING) {
      reflection->SetString(message.get(), field, reflection->GetString(*row, field));
    } else {
      reflection->SetInt64(message.get(), field, reflection->GetInt64(*row, field));
    }
  }
  return message->SerializeAsString();
}

void ReplaceColumn(const std::string& data_dir, const Entry& entry) {
  const std::vector<std::string> parts = absl::StrSplit(entry.place->name, '.');
  const std::string table = parts[0], column = parts[1], key = KeyOf(table);
  SQLite::Database database(data_dir + "/atelier.db", SQLite::OPEN_READWRITE, 1000);
  database.exec("PRAGMA synchronous = OFF");
  SQLite::Transaction transaction(database);
  std::vector<std::string> rows;
  SQLite::Statement select(database,
                           absl::StrCat("SELECT ", column, " FROM ", table, " ORDER BY ", key));
  while (select.executeStep()) rows.push_back(select.getColumn(0).getString());
  SQLite::Statement update(
      database, absl::StrCat("UPDATE ", table, " SET ", column, " = ? WHERE (", key, ") = (SELECT ",
                             key, " FROM ", table, " ORDER BY ", key, " LIMIT 1 OFFSET ?)"));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::string bytes =
        Renamed(entry.place->prototype, entry.messages[row % entry.messages.size()], rows[row]);
    update.bind(1, static_cast<const void*>(bytes.data()), static_cast<int>(bytes.size()));
    update.bind(2, static_cast<int>(row));
    update.exec();
    update.reset();
  }
  transaction.commit();
}

void ReplaceFile(const std::string& data_dir, const std::string& name, const std::string& bytes) {
  for (const auto& entry : files::recursive_directory_iterator(data_dir)) {
    if (entry.path().filename() != name) continue;
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << bytes;
  }
}

// As serving replicas read it.
void ReadRegistry(const std::string& bytes) {
  (void)registry::ReadRegistry(bytes);
  published::v1::Registry registry;
  // Changed bytes alone would not have their digest.
  if (registry.ParseFromString(bytes))
    (void)registry::ReadRegistry(registry::RegistryBytes(registry));
}

class Directory {
 public:
  Directory() {
    server_.Restore();
    Demand(server_.Start().ok(), "a start");
    for (const TextCall& call : kMaking) Demand(Call(call).status.ok(), call.method);
    made_ = true;
    server_.Stop();
    CopyFiles(server_.data_dir(), template_);
  }

  void Take(const std::vector<Entry>& entries) {
    CopyFiles(template_, server_.data_dir());
    for (const Entry& entry : entries) Replace(entry);
    if (server_.Start().ok()) {
      for (const char* const job : kJobs) {
        for (const TextCall& call : kOfEveryJob) Call(call, job);
      }
      for (const TextCall& call : kReading) Call(call);
    }
    server_.Stop();
    for (const bool repair : {false, true}) {
      (void)upkeep::CheckDataDirectory(
          {.data_dir = server_.data_dir(), .repair = repair, .print = [](const std::string&) {}});
    }
    server_.CheckSurroundings();
  }

 private:
  static void Demand(bool done, const char* what) {
    if (done) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::abort();
  }

  void Replace(const Entry& entry) {
    const std::string& name = entry.place->name;
    if (name == "registry.pb") {
      ReadRegistry(entry.messages.front());
    } else if (name == "upload.pb" || name == "serving.json") {
      ReplaceFile(server_.data_dir(), name, entry.messages.front());
    } else {
      ReplaceColumn(server_.data_dir(), entry);
    }
  }

  Answer Call(const TextCall& call, const std::string& job = "") {
    static const std::vector<const google::protobuf::MethodDescriptor*> methods = AllMethods();
    for (const auto* const method : methods) {
      if (PathOf(*method) != absl::StrCat("atelier.v1.", call.method)) continue;
      const std::unique_ptr<Message> request(Prototype(method->input_type())->New());
      Demand(google::protobuf::TextFormat::ParseFromString(
                 absl::StrReplaceAll(call.request, {{"JOB", job}}), request.get()),
             call.request);
      names_.PutInto(request.get());
      Answer answer = server_.Call(*method, {request->SerializeAsString()});
      const std::unique_ptr<Message> response(Prototype(method->output_type())->New());
      if (answer.messages.empty()) return answer;
      Demand(response->ParseFromString(answer.messages.front()), call.method);
      if (!made_) names_.Learn(*response);
      return answer;
    }
    std::abort();
  }

  const std::string template_ = Scratch().path("template");
  ScratchServer server_;
  KnownNames names_{[](const std::string&) { return std::string(); }};
  bool made_ = false;
};

}  // namespace

const std::vector<Place>& Places() {
  static const std::vector<Place> places = {
      {"events.event", &v1::JobEvent::default_instance()},
      {"jobs.job", &v1::TrainingJob::default_instance()},
      {"jobs.request", nullptr},
      {"evaluations.confusion_matrix", &v1::ConfusionMatrix::default_instance()},
      {"evaluations.predictions", &v1::GetPredictionsResponse::default_instance()},
      {"versions.data", &v1::ModelVersion::default_instance()},
      {"dataset_versions.data", &v1::Dataset::default_instance()},
      {"experiments.experiment", &v1::Experiment::default_instance()},
      {"experiments.request", nullptr},
      {"notices.data", &v1::TrainingJob::default_instance()},
      {"upload.pb", &v1::Upload::default_instance()},
      {"registry.pb", &published::v1::Registry::default_instance()},
      {"serving.json", nullptr}};
  return places;
}

}  // namespace atelier::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atelier::fuzz;
  Scratch();  // It goes after what uses it.
  static const auto directory = std::make_unique<Directory>();
  directory->Take(ReadEntries(Text(data, size)));
  return 0;
}
