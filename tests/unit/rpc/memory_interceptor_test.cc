// What calls may hold, over real connections.
#include "server/rpc/memory_interceptor.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "atelier/v1/dataset_service.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/base/task_queue.h"
#include "server/rpc/unary.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

constexpr char kGetImages[] = "/atelier.v1.DatasetService/GetImages";

// Answers with one image of as many bytes as the request's first index says.
class FakeDatasets final : public v1::DatasetService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetImages(grpc::CallbackServerContext* context,
                                      const v1::GetImagesRequest* request,
                                      v1::GetImagesResponse* response) override {
    return RunUnary(context, &tasks_, response,
                    [this, request]() -> absl::StatusOr<v1::GetImagesResponse> {
                      ++handled;
                      v1::GetImagesResponse answer;
                      answer.add_images()->mutable_data()->resize(
                          static_cast<std::size_t>(request->indices(0)));
                      return answer;
                    });
  }

  std::atomic<int> handled = 0;

 private:
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
};

// A call whose answer is not read.
class UnreadCall {
 public:
  UnreadCall(const std::shared_ptr<grpc::Channel>& channel, const v1::GetImagesRequest& request)
      : stub_(channel), call_(stub_.PrepareCall(&context_, kGetImages, &queue_)) {
    call_->StartCall(nullptr);
    Await();
    const std::string bytes = request.SerializeAsString();
    const grpc::Slice slice(bytes);
    call_->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    Await();
  }
  ~UnreadCall() {
    context_.TryCancel();
    grpc::Status status;
    call_->Finish(&status, nullptr);
    Await();
  }

 private:
  void Await() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

class MemoryInterceptorTest : public testing::Test {
 protected:
  static v1::GetImagesRequest Asking(std::int64_t bytes) {
    v1::GetImagesRequest request;
    request.add_indices(bytes);
    return request;
  }
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           const v1::GetImagesRequest& request) {
    grpc::ClientContext context;
    v1::GetImagesResponse response;
    return v1::DatasetService::NewStub(channel)->GetImages(&context, request, &response);
  }
  void AwaitHeld(std::int64_t least, std::int64_t most) {
    while (memory_.held() < least || memory_.held() > most) absl::SleepFor(absl::Milliseconds(1));
  }

  CallMemory memory_{{.connection_bytes = 3 << 20, .all_bytes = 5 << 20}};
  FakeDatasets service_;
  RpcTestServer server_{{{"atelier.v1.DatasetService", &service_}}, &memory_};
};

TEST_F(MemoryInterceptorTest, AnswersThatAreReadHoldNothingAfterwards) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Call(server_.channel(), Asking(1 << 20)).ok());
    AwaitHeld(0, 0);
  }
}

TEST_F(MemoryInterceptorTest, AnswersThatNobodyReadsUseUpTheConnection) {
  auto unread = std::make_unique<UnreadCall>(server_.channel(), Asking(1 << 20));
  AwaitHeld(2 << 20, 3 << 20);  // As a message and as bytes.
  const grpc::Status refused = Call(server_.channel(), Asking(1 << 20));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(refused).reason, "TOO_MUCH_HELD");
  EXPECT_TRUE(DetailsOf(refused).retry);
  EXPECT_TRUE(Call(server_.channel(), Asking(1000)).ok()) << "small ones are not counted";
  EXPECT_TRUE(Call(server_.NewChannel(), Asking(1 << 20)).ok()) << "another connection";
  unread.reset();
  AwaitHeld(0, 0);
  EXPECT_TRUE(Call(server_.channel(), Asking(1 << 20)).ok());
}

TEST_F(MemoryInterceptorTest, AllConnectionsTogetherHaveALimit) {
  std::vector<std::unique_ptr<UnreadCall>> unread;
  for (int i = 0; i < 2; ++i) {
    unread.push_back(std::make_unique<UnreadCall>(server_.NewChannel(), Asking(1 << 20)));
  }
  AwaitHeld(4 << 20, 5 << 20);
  const grpc::Status refused = Call(server_.NewChannel(), Asking(1 << 20));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("all clients"), std::string::npos)
      << refused.error_message();
}

TEST_F(MemoryInterceptorTest, ARequestThatDoesNotFitIsNotLookedAt) {
  v1::GetImagesRequest request = Asking(1);
  request.set_name(std::string(4 << 20, 'x'));
  const grpc::Status refused = Call(server_.channel(), request);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(refused).reason, "TOO_MUCH_HELD");
  EXPECT_EQ(service_.handled, 0);
  request.set_name(std::string(1 << 20, 'x'));
  EXPECT_TRUE(Call(server_.channel(), request).ok());
  AwaitHeld(0, 0);
}

}  // namespace
}  // namespace atelier::rpc
