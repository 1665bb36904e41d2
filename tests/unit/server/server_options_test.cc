#include "server/server_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/training_options.h"
#include "server/base/machine.h"

namespace atelier::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ServerFlags Flags() {
  ServerFlags flags;
  flags.listen = "127.0.0.1:50051";
  flags.metrics_listen = "127.0.0.1:9464";
  flags.data_dir = "/srv/atelier";
  return flags;
}

// What is said about the flags after `change`; empty if they are right.
template <typename Change>
std::string Complaint(Change change) {
  ServerFlags flags = Flags();
  change(flags);
  const auto options = ServerOptions::Create(flags);
  return std::string(options.status().message());
}

TEST(ServerOptionsTest, FillsInWhatWasLeftOut) {
  const auto options = ServerOptions::Create(Flags());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->worker_listen.ToString(), "unix:/srv/atelier/worker.sock");
  EXPECT_EQ(options->workers, 1);
  EXPECT_EQ(options->threads_per_worker, UsableCores());
  EXPECT_EQ(options->serving_threads, UsableCores());
  EXPECT_EQ(options->lease, absl::Seconds(30));
}

TEST(ServerOptionsTest, DividesTheCoresAmongTheWorkers) {
  ServerFlags flags = Flags();
  flags.workers = 1000;
  EXPECT_EQ(ServerOptions::Create(flags)->threads_per_worker, 1);
}

TEST(ServerOptionsTest, TheSandboxIsOneOfThree) {
  EXPECT_EQ(ServerOptions::Create(Flags())->worker_sandbox, "best_effort");
  const auto given = [](const std::string& mode) {
    return Complaint([&](ServerFlags& flags) { flags.worker_sandbox = mode; });
  };
  EXPECT_EQ(given("required"), "");
  EXPECT_EQ(given("off"), "");
  EXPECT_THAT(given("on"), HasSubstr("--worker_sandbox: 'on' is not best_effort, required or off"));
}

TEST(ServerOptionsTest, TheDataDirectoryIsAbsoluteAndFollowsXdg) {
  ServerFlags flags = Flags();
  flags.data_dir = "/srv/./a/../b";
  EXPECT_EQ(ServerOptions::Create(flags)->data_dir, "/srv/b");
  flags.data_dir = "relative";
  EXPECT_THAT(ServerOptions::Create(flags)->data_dir, StartsWith("/"));
  flags.data_dir.clear();
  setenv("XDG_DATA_HOME", "/srv/xdg", 1);
  EXPECT_EQ(ServerOptions::Create(flags)->data_dir, "/srv/xdg/atelier");
  unsetenv("XDG_DATA_HOME");
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(ServerOptions::Create(flags)->data_dir, "/home/someone/.local/share/atelier");
  unsetenv("HOME");
  EXPECT_THAT(std::string(ServerOptions::Create(flags).status().message()),
              StartsWith("--data_dir:"));
}

TEST(ServerOptionsTest, TheWorkersSocketIsInTheDataDirectoryHoweverLongItsName) {
  ServerFlags flags = Flags();
  flags.data_dir = "/" + std::string(200, 'x');
  const auto options = ServerOptions::Create(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->worker_listen.socket, flags.data_dir + "/worker.sock");
}

TEST(ServerOptionsTest, ReadsDataSets) {
  ServerFlags flags = Flags();
  flags.datasets = {"kmnist=/srv/kmnist", "fashion-mnist=/srv/mine"};
  const auto options = ServerOptions::Create(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->datasets.at("kmnist"), "/srv/kmnist");
  EXPECT_EQ(options->datasets.at("fashion-mnist"), "/srv/mine") << "the operator's word counts";
}

TEST(ServerOptionsTest, NamesTheWrongFlag) {
  for (const char* entry : {"nonsense", "=dir", "name=", "Ä=dir", "a/b=dir"}) {
    EXPECT_THAT(Complaint([&](ServerFlags& flags) { flags.datasets = {entry}; }),
                StartsWith("--datasets:"))
        << entry;
  }
  EXPECT_THAT(Complaint([](ServerFlags& flags) {
                flags.datasets = {"a=/x", "a=/y"};
              }),
              HasSubstr("twice"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.listen = "x"; }), StartsWith("--listen:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.metrics_listen = "unix:/x"; }),
              StartsWith("--metrics_listen:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.metrics_tls = true; }),
              StartsWith("--metrics_tls: it needs --tls_cert"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.worker_listen = "127.0.0.1:0"; }),
              StartsWith("--worker_listen:"));
  EXPECT_THAT(
      Complaint([](ServerFlags& flags) { flags.worker_listen = "unix:/" + std::string(120, 'x'); }),
      StartsWith("--worker_listen:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.workers = 0; }), StartsWith("--workers:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.threads_per_worker = -1; }),
              StartsWith("--threads_per_worker:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.serving_threads = 2000; }),
              StartsWith("--serving_threads:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.serving_device = "tpu"; }),
              StartsWith("--serving_device:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.max_queued_jobs = 0; }),
              StartsWith("--max_queued_jobs:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.kept_checkpoints = -1; }),
              StartsWith("--kept_checkpoints:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.lease = absl::ZeroDuration(); }),
              StartsWith("--lease:"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.shutdown_grace = -absl::Seconds(1); }),
              StartsWith("--shutdown_grace:"));
}

TEST(ServerOptionsTest, ClassifiesOnAGpuOnlyWhereThereIsOne) {
  if (models::CudaAvailable()) GTEST_SKIP() << "there is one";
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.serving_device = "cuda"; }),
              HasSubstr("no usable GPU"));
  ServerFlags flags = Flags();
  flags.serving_device = "auto";
  EXPECT_FALSE(ServerOptions::Create(flags)->serving_on_gpu);
}

TEST(ServerOptionsTest, CertificateAndKeyBelongTogether) {
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.tls_cert = "/srv/server.crt"; }),
              StartsWith("--tls_cert: it needs its key"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.tls_key = "/srv/server.key"; }),
              StartsWith("--tls_key: it needs --tls_cert"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.tls_client_ca = "/srv/ca.crt"; }),
              StartsWith("--tls_client_ca: it needs"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) {
                flags.tls_cert = "/no/such.crt";
                flags.tls_key = "/no/such.key";
              }),
              StartsWith("--tls_cert: /no/such.crt cannot be read: No such file"));
}

TEST(ServerOptionsTest, ListensBeyondLoopbackOnlyWhenToldSo) {
  for (const char* flag : {"--listen", "--worker_listen"}) {
    ServerFlags flags = Flags();
    (flag == std::string("--listen") ? flags.listen : flags.worker_listen) = "0.0.0.0:50052";
    const auto refused = ServerOptions::Create(flags);
    EXPECT_THAT(std::string(refused.status().message()), StartsWith(flag));
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--tls_cert"));
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--allow_insecure"));
    flags.allow_insecure = true;
    EXPECT_TRUE(ServerOptions::Create(flags).ok());
  }
  ServerFlags flags = Flags();
}

TEST(ServerOptionsTest, WarnsOfAMetricsPageThatOtherMachinesCanRead) {
  ServerFlags flags = Flags();
  for (const char* local : {"127.0.0.1:9464", "localhost:0", "127.8.0.1:9464"}) {
    flags.metrics_listen = local;
    EXPECT_EQ(ServerOptions::Create(flags)->MetricsWarning(), "") << local;
  }
  for (const char* open : {"0.0.0.0:9464", "10.0.0.5:9464", "metrics.example.org:9464"}) {
    flags.metrics_listen = open;
    const auto options = ServerOptions::Create(flags);
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_THAT(options->MetricsWarning(), StartsWith(absl::StrCat("--metrics_listen: ", open)));
  }
  ServerOptions guarded;
  guarded.metrics_listen.host = "0.0.0.0";
  guarded.metrics_token = guarded.metrics_tls = true;
  EXPECT_EQ(guarded.MetricsWarning(), "");
}

TEST(ServerOptionsTest, WorkersOnOtherMachinesNeedAnAddressThatTheyReach) {
  const auto slurm = [](const std::string& address) {
    return Complaint([&](ServerFlags& flags) {
      flags.executor = "slurm";
      flags.worker_listen = address;
      flags.allow_insecure = true;
    });
  };
  EXPECT_THAT(slurm(""), HasSubstr("--worker_listen: unix:/srv/atelier/worker.sock is a socket"));
  EXPECT_THAT(slurm("0.0.0.0:5000"), HasSubstr("0.0.0.0:5000 names no machine"));
  EXPECT_THAT(slurm("[::]:5000"), HasSubstr("names no machine"));
  EXPECT_EQ(slurm("10.0.0.1:5000"), "");
}

TEST(ServerOptionsTest, WorkersMayDialAnotherAddressThanTheServerListensOn) {
  const auto dial = [](const std::string& executor, const std::string& address) {
    return Complaint([&](ServerFlags& flags) {
      flags.executor = executor;
      flags.worker_listen = "0.0.0.0:5000";
      flags.worker_address = address;
      flags.allow_insecure = true;
    });
  };
  EXPECT_EQ(dial("kubernetes", "atelier-workers:5000"), "");
  EXPECT_THAT(dial("kubernetes", ""), HasSubstr("--worker_listen: 0.0.0.0:5000 names no machine"));
  EXPECT_THAT(dial("kubernetes", "0.0.0.0:5000"), HasSubstr("--worker_address: 0.0.0.0:5000"));
  EXPECT_THAT(dial("kubernetes", "atelier-workers:0"), HasSubstr("names no machine and port"));
  EXPECT_THAT(dial("kubernetes", "unix:/tmp/s"), HasSubstr("--worker_address: unix:/tmp/s is a"));
  EXPECT_THAT(dial("kubernetes", "nonsense"), StartsWith("--worker_address: "));
  EXPECT_THAT(dial("process", "10.0.0.1:5000"), StartsWith("--worker_address: "));
  ServerFlags flags = Flags();
  flags.executor = "slurm";
  flags.worker_listen = "10.0.0.1:5000";
  flags.allow_insecure = true;
  EXPECT_EQ(ServerOptions::Create(flags)->worker_address, "10.0.0.1:5000");
}

TEST(ServerOptionsTest, CopiesForWorkersAreChecked) {
  const auto given = [](const std::string& executor, const std::string& folder, std::int64_t bytes,
                        std::int64_t rate) {
    return Complaint([&](ServerFlags& flags) {
      flags.executor = executor;
      if (executor != "process") flags.worker_listen = "10.0.0.1:5000";
      flags.worker_cache_dir = folder;
      flags.worker_cache_bytes = bytes;
      flags.transfer_rate = rate;
      flags.allow_insecure = true;
    });
  };
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  EXPECT_EQ(given("slurm", "/var/cache/atelier", kMebibyte, 0), "");
  EXPECT_EQ(given("slurm", "/var/cache/atelier", kMebibyte, 65536), "");
  EXPECT_THAT(given("slurm", "cache", kMebibyte, 0),
              HasSubstr("--worker_cache_dir: 'cache' is not the absolute path"));
  EXPECT_THAT(given("process", "/var/cache/atelier", kMebibyte, 0),
              HasSubstr("workers of this machine see the data directory"));
  EXPECT_THAT(given("slurm", "/var/cache/atelier", 5, 0), StartsWith("--worker_cache_bytes: 5 is"));
  EXPECT_THAT(given("slurm", "/var/cache/atelier", kMebibyte, 5),
              StartsWith("--transfer_rate: 5 is"));
}

TEST(ServerOptionsTest, TheNetworkOfRanksIsChecked) {
  const auto given = [](const std::string& executor, const std::string& network) {
    return Complaint([&](ServerFlags& flags) {
      flags.executor = executor;
      if (executor != "process") flags.worker_listen = "10.0.0.1:5000";
      flags.rank_network = network;
      flags.allow_insecure = true;
    });
  };
  EXPECT_EQ(given("slurm", ""), "");
  EXPECT_EQ(given("slurm", "10.0.0.0/8"), "");
  EXPECT_EQ(given("kubernetes", "fd00::/8"), "");
  EXPECT_THAT(given("slurm", "eth0"), HasSubstr("--rank_network: 'eth0' is not ADDRESS/BITS"));
  EXPECT_THAT(given("process", "10.0.0.0/8"),
              HasSubstr("--rank_network: the nodes of a job are processes of this machine"));
}

TEST(ServerOptionsTest, FlagsOfOneExecutorAreNotTakenByAnother) {
  const auto given = [](const std::string& executor, const std::string& value, int max_jobs) {
    return Complaint([&](ServerFlags& flags) {
      flags.executor = executor;
      flags.max_jobs = max_jobs;
      flags.worker_listen = "127.0.0.1:5000";
      flags.executor_settings = {{"slurm_qos", value}, {"slurm_args", ""}};
    });
  };
  EXPECT_EQ(given("process", "", 0), "");
  EXPECT_THAT(given("process", "high", 0),
              HasSubstr("--slurm_qos: it has no effect with --executor=process"));
  EXPECT_THAT(given("process", "", 5), HasSubstr("--max_jobs: "));
  EXPECT_EQ(given("slurm", "high", 5), "");
  EXPECT_THAT(given("slurm", "high", -1), HasSubstr("--max_jobs: -1 is out of range"));
  EXPECT_THAT(given("slurm", "high", 20'000), HasSubstr("--max_jobs: 20000 is out of range"));
}

TEST(ServerOptionsTest, AClustersNodesDoNotHaveThisMachinesCores) {
  ServerFlags flags = Flags();
  flags.executor = "slurm";
  flags.worker_listen = "127.0.0.1:5000";
  EXPECT_EQ(ServerOptions::Create(flags)->threads_per_worker, 4);
  flags.threads_per_worker = 7;
  EXPECT_EQ(ServerOptions::Create(flags)->threads_per_worker, 7);
}

TEST(ServerOptionsTest, TokensStayWithinTheMachineWithoutTls) {
  ServerFlags flags = Flags();
  flags.access_file = "access";
  for (const char* local : {"127.0.0.1:50051", "[::1]:50051", "unix:/run/atelier.sock"}) {
    flags.listen = local;
    const auto options = ServerOptions::Create(flags);
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_THAT(options->access_file, StartsWith("/"));
  }
  const auto open = [](ServerFlags& changed) {
    changed.access_file = "access";
    changed.listen = "0.0.0.0:50051";
    changed.allow_insecure = true;
  };
  EXPECT_THAT(Complaint(open), HasSubstr("--access_file: tokens would travel to 0.0.0.0:50051"));
}

TEST(ServerOptionsTest, WarnsOfAServerThatAsksNobodyWhoTheyAre) {
  ServerFlags flags = Flags();
  EXPECT_EQ(ServerOptions::Create(flags)->AccessWarning(), "");
  flags.listen = "0.0.0.0:50051";
  flags.allow_insecure = true;
  EXPECT_THAT(ServerOptions::Create(flags)->AccessWarning(),
              HasSubstr("everybody who can reach 0.0.0.0:50051 may do everything"));
}

TEST(ServerOptionsTest, TheAuditLogsSpaceIsNothingOrOneMebibyteAndMore) {
  ServerFlags flags = Flags();
  EXPECT_EQ(ServerOptions::Create(flags)->audit_space, 64 << 20);
  flags.audit_space = 0;
  EXPECT_EQ(ServerOptions::Create(flags)->audit_space, 0);
  for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{1}, std::int64_t{1} << 50}) {
    EXPECT_THAT(Complaint([wrong](ServerFlags& changed) { changed.audit_space = wrong; }),
                StartsWith("--audit_space: "));
  }
}

TEST(ServerOptionsTest, AReplicaFollowsAFolderOrAnObjectStore) {
  ServerFlags flags = Flags();
  EXPECT_FALSE(ServerOptions::Create(flags)->IsReplica());
  flags.role = "serving";
  flags.registry = "/srv/./primary";
  EXPECT_EQ(ServerOptions::Create(flags)->registry, "/srv/primary");
  EXPECT_TRUE(ServerOptions::Create(flags)->IsReplica());
  flags.registry = "s3://bucket/prefix";
  flags.artifact_settings = {{"s3_region", "eu-central-1"}};
  const auto options = ServerOptions::Create(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->registry, "s3://bucket/prefix");
}

TEST(ServerOptionsTest, RefusesFlagsThatDoNotFitTheRole) {
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.role = "some"; }),
              HasSubstr("--role: 'some' is not all or serving"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.registry = "/srv/primary"; }),
              HasSubstr("--registry: it has no effect without --role=serving"));
  EXPECT_THAT(Complaint([](ServerFlags& flags) { flags.role = "serving"; }),
              HasSubstr("--registry: a serving replica needs it"));
  const auto replica = [](auto change) {
    return Complaint([&](ServerFlags& flags) {
      flags.role = "serving";
      flags.registry = "/srv/primary";
      change(flags);
    });
  };
  EXPECT_EQ(replica([](ServerFlags&) {}), "");
  EXPECT_THAT(replica([](ServerFlags& flags) { flags.executor = "slurm"; }),
              HasSubstr("--executor: it has no effect with --role=serving"));
  EXPECT_THAT(replica([](ServerFlags& flags) { flags.workers = 2; }), StartsWith("--workers"));
  EXPECT_THAT(replica([](ServerFlags& flags) { flags.artifacts = "s3://bucket/x"; }),
              StartsWith("--artifacts"));
  EXPECT_THAT(replica([](ServerFlags& flags) {
                flags.artifact_settings = {{"s3_region", "x"}};
              }),
              StartsWith("--s3_region"));
}

}  // namespace
}  // namespace atelier::server
