#include "client/calls/upload.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "atelier/v1/dataset_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

// Answers every WriteUpload with one status, and says of the upload what it is told to.
class Datasets : public v1::DatasetService::Service {
 public:
  grpc::Status write_status;
  std::int64_t received = 0;
  std::atomic<int> asked = 0;

  grpc::Status WriteUpload(grpc::ServerContext* /*context*/,
                           grpc::ServerReader<v1::WriteUploadRequest>* reader,
                           v1::Upload* /*upload*/) override {
    v1::WriteUploadRequest request;
    while (reader->Read(&request)) {
    }
    return write_status;
  }

  grpc::Status GetUpload(grpc::ServerContext* /*context*/, const v1::GetUploadRequest* request,
                         v1::Upload* upload) override {
    ++asked;
    upload->set_name(request->name());
    upload->set_size_bytes(5);
    upload->set_received_bytes(received);
    return grpc::Status::OK;
  }
};

class UploadTest : public ::testing::Test {
 protected:
  UploadTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&datasets_);
    server_ = builder.BuildAndStart();
    connection_ = *Connection::Create("127.0.0.1:" + std::to_string(port));
    std::ofstream(file_) << "bytes";
  }
  ~UploadTest() override { std::filesystem::remove(file_); }

  absl::Status Send() {
    auto source = UploadSource::Open({file_});
    v1::Upload upload;
    upload.set_name("uploads/one");
    upload.set_size_bytes(5);
    UploadOptions options;
    options.patience = absl::Seconds(1);
    return SendUpload(connection_.get(), upload, &*source, options);
  }

  const std::string file_ = ::testing::TempDir() + "/upload.npy";
  Datasets datasets_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(UploadTest, PatienceWithAnotherClientThatSendsNothingEnds) {
  datasets_.write_status = {grpc::StatusCode::ABORTED, "Another call writes to the upload."};
  const absl::Status status = Send();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_GE(datasets_.asked, 1);
}

TEST_F(UploadTest, WhatAnotherClientHasSentMeanwhileNeedNotBeSent) {
  datasets_.write_status = {grpc::StatusCode::OUT_OF_RANGE, "It must begin at 5."};
  datasets_.received = 5;
  EXPECT_EQ(Send(), absl::OkStatus());
  EXPECT_EQ(datasets_.asked, 1);
}

}  // namespace
}  // namespace atelier::client
