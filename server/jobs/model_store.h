// The model registry: models, their versions and aliases. server/store implements it with SQLite;
// versions are registered by JobStore::Commit, together with the end of the job that made them.
#ifndef ATELIER_SERVER_JOBS_MODEL_STORE_H_
#define ATELIER_SERVER_JOBS_MODEL_STORE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::jobs {

// What a new version does to its model's `latest`.
struct LatestVerdict {
  bool moves = true;
  std::string why = {};     // Why it does not: half a sentence (`it has 47 classes instead of 10`).
  std::int64_t latest = 0;  // Where it stays, or moves from; 0 if there is none.
  // True if it has other classes or another image shape than the version that is the latest.
  bool other_kind = false;
};

// Who sets an alias, and when.
struct AliasSetting {
  std::string creator;  // Empty where the server asked nobody who they are.
  absl::Time time = absl::UnixEpoch();
};

// Thread-safe; calls wait for the disk, so none belongs on a gRPC thread. Store errors as in
// JobStore. Model names are bare (`cnn-3`, not `models/cnn-3`).
//
// `latest` moves by itself: to a new version when that is registered, and back when it is deleted.
// It does not move to a version whose training was stopped or diverged, to one with other classes
// or another image shape than the present latest, and to a run of an experiment, except that a
// model without a latest takes the first version of a complete training as such.
class ModelStore {
 public:
  virtual ~ModelStore() = default;

  // Models by name, each with its newest version alone, all aliases and `latest` among them.
  // INVALID_ARGUMENT for a page token from elsewhere.
  virtual absl::StatusOr<v1::ListModelsResponse> ListModels(int page_size,
                                                            absl::string_view page_token) = 0;

  // With a page of its versions, newest first, and the token of the next one; NOT_FOUND
  // (MODEL_NOT_FOUND), INVALID_ARGUMENT for a page token from elsewhere.
  virtual absl::StatusOr<v1::Model> GetModel(absl::string_view model, int page_size,
                                             absl::string_view page_token) = 0;

  // The version that `reference` (a number, an alias, `latest`; empty means `latest`) stands for.
  // NOT_FOUND (MODEL_NOT_FOUND, VERSION_NOT_FOUND, ALIAS_NOT_FOUND), FAILED_PRECONDITION
  // (NO_LATEST_VERSION) if there is no latest.
  virtual absl::StatusOr<v1::ModelVersion> ResolveVersion(absl::string_view model,
                                                          absl::string_view reference) = 0;

  // Makes `alias` stand for `version`, or removes it if that is 0; answers with the first page of
  // the model. NOT_FOUND (MODEL_NOT_FOUND,
  // VERSION_NOT_FOUND, ALIAS_NOT_FOUND when removing), INVALID_ARGUMENT naming `alias` if it may
  // not have that name, FAILED_PRECONDITION (OTHER_CLASSES) unless `force` if the version has other
  // classes or another image shape than the one that the alias stands for.
  virtual absl::StatusOr<v1::Model> SetAlias(absl::string_view model, absl::string_view alias,
                                             std::int64_t version, bool force,
                                             const AliasSetting& setting) = 0;

  // Deletes one version; the caller removes its files afterwards. A model whose last version goes
  // is gone. NOT_FOUND (MODEL_NOT_FOUND, VERSION_NOT_FOUND), FAILED_PRECONDITION (VERSION_IN_USE)
  // while an alias names it, unless `force`, which deletes the alias too, and (VERSION_NEEDED)
  // while a job or an experiment that has not ended starts from it.
  virtual absl::Status DeleteVersion(absl::string_view model, std::int64_t version, bool force) = 0;

  // Deletes a model with all versions; errors as in DeleteVersion. Answers with the versions it
  // had.
  virtual absl::StatusOr<std::vector<std::int64_t>> DeleteModel(absl::string_view model,
                                                                bool force) = 0;

  // What registering a version will do to `latest`; what is registered meanwhile may change it.
  virtual absl::StatusOr<LatestVerdict> JudgeLatest(const v1::ModelVersion& version) = 0;

  // Bytes of the archives of all versions that jobs of a creator made; reads all versions.
  virtual absl::StatusOr<std::int64_t> ModelBytesOf(absl::string_view creator) = 0;

  // Takes the next version number of a model, which need not exist yet. Never given again, not even
  // when it is left unused or its version or the whole model is deleted.
  virtual absl::StatusOr<std::int64_t> ReserveVersion(absl::string_view model) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_MODEL_STORE_H_
