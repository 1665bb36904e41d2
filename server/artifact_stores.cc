#include "server/artifact_stores.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/objects/object_artifact_store.h"
#include "server/objects/object_registry.h"
#include "server/objects/s3_options.h"
#include "server/objects/store_transport.h"
#include "server/registry/folder_registry.h"
#include "server/store/folder_artifact_store.h"
#include "server/store/server_id.h"

namespace atelier::server {
namespace {

// What an earlier start with an object store left only there.
void WarnOfObjects(const ArtifactContext& context) {
  const auto known = context.database->ListObjects("");
  if (!known.ok()) return;
  const auto missing = std::count_if(known->begin(), known->end(), [&](const auto& record) {
    std::error_code error;
    return !std::filesystem::exists(absl::StrCat(context.data_dir, "/", record.path), error);
  });
  if (missing == 0) return;
  context.log(
      absl::StrCat(missing, " files of the data directory are only in the object store that ",
                   "an earlier start was given by --artifacts; give it again to use them."));
}

}  // namespace

absl::StatusOr<Artifacts> MakeArtifacts(const ServerOptions& options,
                                        const ArtifactContext& context) {
  auto folder =
      std::make_unique<store::FolderArtifactStore>(context.data_dir, options.kept_checkpoints);
  if (options.artifacts.empty()) {
    WarnOfObjects(context);
    return Artifacts{std::move(folder), nullptr};
  }
  auto s3 = objects::S3Options::Create(options.artifacts, options.artifact_settings,
                                       &objects::ProcessEnvironment);
  if (!s3.ok()) return s3.status();
  auto id = store::ServerId(context.data_dir);
  if (!id.ok()) return id.status();
  objects::ObjectArtifactStore::Options keeping;
  keeping.s3 = *std::move(s3);
  keeping.data_dir = context.data_dir;
  keeping.server_id = *std::move(id);
  keeping.kept_checkpoints = options.kept_checkpoints;
  keeping.cache_bytes = options.artifact_cache;
  keeping.log = context.log;
  auto store =
      objects::ObjectArtifactStore::Create(std::move(keeping), {.clock = context.clock,
                                                                .local = std::move(folder),
                                                                .list = context.database,
                                                                .models = context.database,
                                                                .datasets = context.database,
                                                                .observer = context.observer});
  if (!store.ok()) return store.status();
  const auto keep = [raw = store->get()](const std::string& path) {
    return raw->KeepRegistry(path);
  };
  return Artifacts{*std::move(store), keep};
}

absl::StatusOr<std::unique_ptr<registry::RegistryPlace>> MakeRegistryPlace(
    const ServerOptions& options, const Clock* clock, objects::ObjectObserver* observer) {
  if (!absl::StartsWith(options.registry, "s3://")) {
    return std::make_unique<registry::FolderRegistry>(options.registry);
  }
  auto s3 = objects::S3Options::Create(options.registry, options.artifact_settings,
                                       &objects::ProcessEnvironment, "registry");
  if (!s3.ok()) return s3.status();
  return std::make_unique<objects::ObjectRegistry>(
      objects::ObjectRegistry::Options{.s3 = *std::move(s3),
                                       .folder = absl::StrCat(options.data_dir, "/archives"),
                                       .cache_bytes = options.artifact_cache},
      std::make_unique<http::CurlTransport>(
          objects::TransportOptions(&objects::ProcessEnvironment, 0)),
      clock, observer);
}

}  // namespace atelier::server
