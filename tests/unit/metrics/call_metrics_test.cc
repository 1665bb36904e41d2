#include "server/metrics/call_metrics.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

constexpr char kStarted[] =
    R"(grpc_server_started_total{grpc_method="Get",grpc_service="a.B",grpc_type="unary"})";

TEST(CallMetricsTest, AMethodHasNoSeriesBeforeItsFirstCall) {
  prometheus::Registry registry;
  CallMetrics calls(&registry);
  calls.Observe("a.B", "Get", rpc::CallType::kUnary);
  EXPECT_TRUE(Show(registry).empty());
}

TEST(CallMetricsTest, CountsCallsByMethodAndCode) {
  prometheus::Registry registry;
  CallMetrics calls(&registry);
  rpc::MethodObserver* get = calls.Observe("a.B", "Get", rpc::CallType::kUnary);
  rpc::MethodObserver* watch = calls.Observe("a.B", "Watch", rpc::CallType::kServerStream);
  get->Begun();
  EXPECT_EQ(ValueOf(registry, kStarted), 1);
  EXPECT_EQ(CountOf(registry, "grpc_server_handled_total"), 0u);
  get->Ended(absl::StatusCode::kInvalidArgument, absl::Milliseconds(2));
  watch->Begun();
  watch->Ended(absl::StatusCode::kOk, absl::Seconds(20));
  EXPECT_EQ(ValueOf(registry,
                    "grpc_server_handled_total{grpc_code=\"INVALID_ARGUMENT\","
                    "grpc_method=\"Get\",grpc_service=\"a.B\",grpc_type=\"unary\"}"),
            1);
  EXPECT_EQ(ValueOf(registry,
                    "grpc_server_handling_seconds_sum{grpc_method=\"Watch\","
                    "grpc_service=\"a.B\",grpc_type=\"server_stream\"}"),
            20);
}

TEST(CallMetricsTest, WhatIsNoCodeIsUnknown) {
  prometheus::Registry registry;
  CallMetrics calls(&registry);
  rpc::MethodObserver* get = calls.Observe("a.B", "Get", rpc::CallType::kUnary);
  for (const int code : {17, 99, -1, 2}) {
    get->Begun();
    get->Ended(static_cast<absl::StatusCode>(code), absl::ZeroDuration());
  }
  EXPECT_EQ(CountOf(registry, "grpc_server_handled_total"), 1u);
  EXPECT_EQ(CountOf(registry, "grpc_code=\"UNKNOWN\""), 1u);
}

TEST(CallMetricsTest, DurationsAreNeverNegative) {
  prometheus::Registry registry;
  CallMetrics calls(&registry);
  rpc::MethodObserver* get = calls.Observe("a.B", "Get", rpc::CallType::kUnary);
  get->Begun();
  get->Ended(absl::StatusCode::kOk, -absl::Seconds(5));
  for (const auto& [series, value] : Show(registry)) EXPECT_GE(value, 0) << series;
}

TEST(CallMetricsTest, CountsFromManyThreads) {
  prometheus::Registry registry;
  CallMetrics calls(&registry);
  rpc::MethodObserver* get = calls.Observe("a.B", "Get", rpc::CallType::kUnary);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([get] {
      for (int n = 0; n < 1000; ++n) {
        get->Begun();
        get->Ended(absl::StatusCode::kOk, absl::Milliseconds(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ValueOf(registry, kStarted), 4000);
}

}  // namespace
}  // namespace atelier::metrics
