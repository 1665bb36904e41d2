// The flags of atelierd as plain data, and validated. Values; thread-safe.
#ifndef ATELIER_SERVER_SERVER_OPTIONS_H_
#define ATELIER_SERVER_SERVER_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/listen_address.h"

namespace atelier::server {

// The values of the flags; each field has the name of its flag. ServerOptions::Create replaces
// empty or 0 by the default.
struct ServerFlags {
  std::string listen;
  std::string metrics_listen;
  std::string worker_listen;          // Default: a socket in the data directory.
  std::string data_dir;               // Default: $XDG_DATA_HOME/atelier or ~/.local/share/atelier.
  std::vector<std::string> datasets;  // NAME=FOLDER each.
  std::int64_t dataset_space = std::int64_t{20} << 30;
  int workers = 1;
  int threads_per_worker = 0;          // Default: the usable cores over the workers.
  int serving_threads = 0;             // Default: the usable cores.
  std::string serving_device = "cpu";  // cpu, cuda or auto.
  int serving_versions = 8;
  absl::Duration serving_idle = absl::Minutes(30);
  absl::Duration batch_delay = absl::ZeroDuration();
  int max_queued_jobs = 1000;
  int kept_checkpoints = 20;
  absl::Duration lease = absl::Seconds(30);
  absl::Duration shutdown_grace = absl::Seconds(30);
  std::string worker_binary;  // Default: atelier-worker in the folder of atelierd.
  std::string worker_sandbox = "best_effort";
  std::string worker_address;  // Default: worker_listen.
  std::string worker_cache_dir;
  std::int64_t worker_cache_bytes = std::int64_t{20} << 30;
  std::int64_t transfer_rate = 0;
  std::string rank_network;
  std::string executor = "process";
  int max_jobs = 0;
  // Flags that only one executor reads, by name; their names begin with its own.
  std::map<std::string, std::string> executor_settings = {};
  std::string artifacts;  // Default: the data directory alone.
  std::int64_t artifact_cache = std::int64_t{20} << 30;
  std::string role = "all";  // all or serving.
  std::string registry;
  // Flags that only one kind of --artifacts and --registry reads, by name; their names begin with
  // that kind's.
  std::map<std::string, std::string> artifact_settings = {};
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  std::string access_file;
  std::int64_t audit_space = std::int64_t{64} << 20;
  bool metrics_token = false;
  bool metrics_tls = false;
  bool allow_insecure = false;
  std::string notify_url;  // Default: none.
  std::string notify_secret_file;
  bool notify_private_addresses = false;
};

// Absolute paths of validated PEM files.
struct TlsFiles {
  std::string certificate;  // The server's certificate chain.
  std::string key;
  std::string client_authorities;  // CAs of client certificates; empty: none is required.
};

struct ServerOptions {
  ListenAddress listen;
  ListenAddress metrics_listen;
  ListenAddress worker_listen;                  // Workers connect to it, also after a restart.
  std::optional<TlsFiles> tls;                  // nullopt: no TLS.
  std::int64_t audit_space = 0;                 // Bytes for the audit log; 0: there is none.
  std::string access_file;                      // Absolute; empty: nobody is asked who they are.
  bool metrics_token = false;                   // It asks for a token of the access file.
  bool metrics_tls = false;                     // It is served over HTTPS, with `tls`.
  std::string data_dir;                         // Absolute.
  std::map<std::string, std::string> datasets;  // Absolute folders by name.
  std::int64_t dataset_space = 0;               // Bytes for pushed data sets.
  int workers = 1;
  int threads_per_worker = 1;
  int serving_threads = 1;
  bool serving_on_gpu = false;
  int serving_versions = 1;
  absl::Duration serving_idle;
  absl::Duration batch_delay;
  int max_queued_jobs = 1000;
  int kept_checkpoints = 20;  // Of ended jobs, see FolderArtifactStore.
  absl::Duration lease;
  absl::Duration shutdown_grace;
  std::string worker_binary;   // Empty: the one in the folder of atelierd.
  std::string worker_sandbox;  // best_effort, required or off.
  std::string worker_address;  // What workers on other machines dial; empty if there are none.
  // Folder on the nodes of workers that do not see the data directory, absolute; empty: all see it.
  std::string worker_cache_dir;
  std::int64_t worker_cache_bytes = 0;  // What data sets may take there.
  std::int64_t transfer_rate = 0;       // Bytes per second to and from workers; 0: no limit.
  // In which nodes of one job reach each other, such as 10.0.0.0/8; empty: jobs of several nodes
  // have them on this machine, or are refused where workers are elsewhere.
  std::string rank_network;
  std::string notify_url;     // Told of every job's end; empty: none.
  std::string notify_secret;  // Signs what is told; empty: nothing does.
  bool notify_private_addresses = false;
  std::string executor;  // Its name; executors.h knows which there are.
  int max_jobs = 0;      // 0: the executor's default, or no limit of its own.
  std::map<std::string, std::string> executor_settings;  // Those that were given, unchecked.
  std::string artifacts;            // artifact_stores.h knows which there are; empty: a folder.
  std::int64_t artifact_cache = 0;  // Bytes of files that are elsewhere as well.
  std::map<std::string, std::string> artifact_settings;  // Those that were given, unchecked.
  std::string registry;  // Of a serving replica: s3://… or an absolute folder; empty for others.

  // Whether it is a serving replica, which follows the registry of another server.
  bool IsReplica() const { return !registry.empty(); }

  // Whether workers run on other machines.
  bool WorkersAreRemote() const { return executor != "process"; }

  // Whether workers connect by TLS: over TCP, if there are certificates.
  bool WorkersUseTls() const { return tls.has_value() && worker_listen.socket.empty(); }

  // A sentence if other machines can read the metrics page, which has neither TLS nor, for them,
  // access control; otherwise empty.
  std::string MetricsWarning() const;

  // A sentence if other machines can use the server without showing who they are; otherwise empty.
  std::string AccessWarning() const;

  // Validates the flags and fills in defaults. INVALID_ARGUMENT with a sentence that names the
  // first wrong flag. Debian's Fashion-MNIST is added if it is installed.
  static absl::StatusOr<ServerOptions> Create(const ServerFlags& flags);
};

}  // namespace atelier::server

#endif  // ATELIER_SERVER_SERVER_OPTIONS_H_
