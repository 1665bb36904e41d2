#include "server/access/method_table.h"

#include <string>

#include "absl/container/flat_hash_map.h"

namespace atelier::access {
namespace {

constexpr std::optional<Role> kAnybody = std::nullopt;
constexpr bool kChanges = true;
constexpr bool kOwn = true;

constexpr MethodRule kTable[] = {
    // Probes have no token; health names services alone.
    {"/grpc.health.v1.Health/Check", kAnybody},
    {"/grpc.health.v1.Health/Watch", kAnybody},
    {"/inference.GRPCInferenceService/ServerLive", kAnybody},
    {"/inference.GRPCInferenceService/ServerReady", kAnybody},

    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::kClassify},
    {"/atelier.v1.AdminService/GetCaller", Role::kClassify},
    {"/atelier.v1.InferenceService/Classify", Role::kClassify},
    {"/inference.GRPCInferenceService/ServerMetadata", Role::kClassify},
    {"/inference.GRPCInferenceService/ModelReady", Role::kClassify},
    {"/inference.GRPCInferenceService/ModelMetadata", Role::kClassify},
    {"/inference.GRPCInferenceService/ModelConfig", Role::kClassify},
    {"/inference.GRPCInferenceService/ModelInfer", Role::kClassify},
    {"/inference.GRPCInferenceService/ModelStreamInfer", Role::kClassify},

    {"/inference.GRPCInferenceService/ModelStatistics", Role::kViewer},
    {"/inference.GRPCInferenceService/RepositoryIndex", Role::kViewer},
    {"/atelier.v1.TrainingService/GetJob", Role::kViewer},
    {"/atelier.v1.TrainingService/ListJobs", Role::kViewer},
    {"/atelier.v1.TrainingService/StreamMetrics", Role::kViewer},
    {"/atelier.v1.TrainingService/GetConfusionMatrix", Role::kViewer},
    {"/atelier.v1.TrainingService/GetPredictions", Role::kViewer},
    {"/atelier.v1.TrainingService/StreamLogs", Role::kViewer},
    {"/atelier.v1.TrainingService/DownloadTensorboard", Role::kViewer},
    {"/atelier.v1.TrainingService/ListPresets", Role::kViewer},
    {"/atelier.v1.TrainingService/DescribeNetwork", Role::kViewer},
    {"/atelier.v1.TrainingService/ListRecipes", Role::kViewer},
    {"/atelier.v1.ExperimentService/GetExperiment", Role::kViewer},
    {"/atelier.v1.ExperimentService/ListExperiments", Role::kViewer},
    {"/atelier.v1.ExperimentService/StreamExperiment", Role::kViewer},
    {"/atelier.v1.DatasetService/ListDatasets", Role::kViewer},
    {"/atelier.v1.DatasetService/GetDataset", Role::kViewer},
    {"/atelier.v1.DatasetService/GetImages", Role::kViewer},
    {"/atelier.v1.DatasetService/GetImageSheet", Role::kViewer},
    {"/atelier.v1.ModelService/ListModels", Role::kViewer},
    {"/atelier.v1.ModelService/GetModel", Role::kViewer},
    {"/atelier.v1.ModelService/DownloadModel", Role::kViewer},
    {"/atelier.v1.ModelService/GetFilters", Role::kViewer},
    {"/atelier.v1.ModelService/GetFeatureMaps", Role::kViewer},
    {"/atelier.v1.ModelService/Explain", Role::kViewer},
    {"/atelier.v1.MonitoringService/GetMetrics", Role::kViewer},

    {"/inference.GRPCInferenceService/RepositoryModelLoad", Role::kOperator, kChanges},
    {"/inference.GRPCInferenceService/RepositoryModelUnload", Role::kOperator, kChanges},
    {"/atelier.v1.TrainingService/StartTraining", Role::kOperator, kChanges},
    {"/atelier.v1.TrainingService/StopJob", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.TrainingService/DeleteJob", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.ExperimentService/StartExperiment", Role::kOperator, kChanges},
    {"/atelier.v1.ExperimentService/StopExperiment", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.ExperimentService/DeleteExperiment", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.DatasetService/CreateUpload", Role::kOperator, kChanges},
    {"/atelier.v1.DatasetService/GetUpload", Role::kOperator},
    {"/atelier.v1.DatasetService/WriteUpload", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.DatasetService/DeleteUpload", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.DatasetService/ImportDataset", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.DatasetService/CheckDataset", Role::kOperator, kChanges},
    {"/atelier.v1.DatasetService/DeleteDataset", Role::kOperator, kChanges, kOwn},
    {"/atelier.v1.ModelService/EvaluateModel", Role::kOperator, kChanges},
    {"/atelier.v1.ModelService/SetAlias", Role::kOperator, kChanges},
    {"/atelier.v1.ModelService/DeleteModel", Role::kOperator, kChanges, kOwn},

    {"/atelier.v1.AdminService/ListAuditEntries", Role::kAdmin},
    // It changes nothing, but the audit log shall say who took a copy of everything.
    {"/atelier.v1.AdminService/Backup", Role::kAdmin, kChanges},
};

}  // namespace

absl::Span<const MethodRule> MethodTable() { return kTable; }

const MethodRule* FindRule(absl::string_view path) {
  static const auto* const rules = [] {
    auto* by_path = new absl::flat_hash_map<absl::string_view, const MethodRule*>();
    for (const MethodRule& rule : kTable) by_path->emplace(rule.path, &rule);
    return by_path;
  }();
  const auto found = rules->find(path);
  return found == rules->end() ? nullptr : found->second;
}

}  // namespace atelier::access
