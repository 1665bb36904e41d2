#include "server/access/method_table.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "atelier/v1/admin_service.pb.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/inference_service.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "atelier/v1/monitoring_service.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "grpc/health/v1/health.pb.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.pb.h"

namespace atelier::access {
namespace {

// Every file with public services.
const google::protobuf::FileDescriptor* const kFiles[] = {
    v1::GetCallerRequest::descriptor()->file(),
    v1::ListDatasetsRequest::descriptor()->file(),
    v1::GetExperimentRequest::descriptor()->file(),
    v1::ClassifyRequest::descriptor()->file(),
    v1::GetModelRequest::descriptor()->file(),
    v1::GetMetricsRequest::descriptor()->file(),
    v1::GetJobRequest::descriptor()->file(),
    inference::ModelInferRequest::descriptor()->file(),
    grpc::health::v1::HealthCheckRequest::descriptor()->file()};

std::set<std::string> PublicMethods() {
  std::set<std::string> paths = {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
  for (const auto* file : kFiles) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        paths.insert(absl::StrCat("/", file->service(i)->full_name(), "/",
                                  file->service(i)->method(j)->name()));
      }
    }
  }
  return paths;
}

TEST(MethodTableTest, HasEveryMethodOfEveryServiceOnceAndNoOther) {
  std::set<std::string> listed;
  for (const MethodRule& rule : MethodTable()) {
    EXPECT_TRUE(listed.emplace(rule.path).second) << rule.path << " is listed twice";
  }
  const std::set<std::string> methods = PublicMethods();
  for (const std::string& path : methods) EXPECT_TRUE(listed.contains(path)) << path;
  for (const std::string& path : listed) EXPECT_TRUE(methods.contains(path)) << path;
}

TEST(MethodTableTest, NothingIsChangedByLessThanAnOperator) {
  for (const MethodRule& rule : MethodTable()) {
    if (rule.changes) {
      EXPECT_GE(rule.role, Role::kOperator) << rule.path;
    }
    EXPECT_TRUE(rule.changes || !rule.own) << rule.path;
  }
}

TEST(MethodTableTest, OnlyProbesAreOpenToAnybody) {
  std::set<std::string> open;
  for (const MethodRule& rule : MethodTable()) {
    if (!rule.role.has_value()) open.emplace(rule.path);
  }
  EXPECT_EQ(open,
            (std::set<std::string>{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
                                   "/inference.GRPCInferenceService/ServerLive",
                                   "/inference.GRPCInferenceService/ServerReady"}));
}

TEST(MethodTableTest, UnknownMethodsHaveNoRule) {
  EXPECT_EQ(FindRule("/atelier.v1.TrainingService/Nothing"), nullptr);
  ASSERT_NE(FindRule("/atelier.v1.TrainingService/StopJob"), nullptr);
  EXPECT_TRUE(FindRule("/atelier.v1.TrainingService/StopJob")->own);
}

}  // namespace
}  // namespace atelier::access
