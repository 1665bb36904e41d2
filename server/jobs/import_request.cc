#include "server/jobs/import_request.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/base/class_label.h"
#include "models/base/import_limits.h"
#include "server/jobs/error.h"
#include "server/jobs/job_resources.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

constexpr std::int64_t kImportMemory = std::int64_t{2} << 30;

class OptionsResolution {
 public:
  explicit OptionsResolution(const v1::ImportOptions& options) : options_(options) {}

  absl::StatusOr<v1::ImportOptions> Run() {
    CheckSize();
    CheckEnums();
    CheckClassNames();
    if (options_.test_fraction() != models::kAllForTest) {
      CheckFraction("test_fraction", options_.test_fraction(), ", or 1 for all images");
    } else if (options_.validation_fraction() > 0) {
      Wrong("validation_fraction",
            "All images become the test split; the validation fraction must be 0.");
    }
    CheckFraction("validation_fraction", options_.validation_fraction(), "");
    if (!wrong_.empty()) return InvalidFields(wrong_);
    return std::move(options_);
  }

 private:
  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({absl::StrCat("options.", field), std::move(description)});
  }

  void CheckSize() {
    const int height = options_.height();
    const int width = options_.width();
    if (height == 0 && width == 0) return;
    const auto in_range = [](int side) { return side >= 1 && side <= models::kMaxImportSide; };
    if (in_range(height) && in_range(width)) return;
    Wrong(in_range(height) ? "width" : "height",
          absl::StrCat("The size is ", height, "x", width, "; height and width must be 1 to ",
                       models::kMaxImportSide, ", or both 0 for the most frequent size."));
  }

  template <typename Enum>
  void CheckEnum(absl::string_view field, const google::protobuf::EnumDescriptor* type, Enum value,
                 Enum default_value, void (v1::ImportOptions::*set)(Enum)) {
    if (type->FindValueByNumber(value) == nullptr) {
      Wrong(field, absl::StrCat("The value is ", static_cast<int>(value), "; it must be 0 to ",
                                type->value_count() - 1, "."));
    } else if (value == 0) {
      (options_.*set)(default_value);
    }
  }

  void CheckEnums() {
    CheckEnum("color", v1::ImportColor_descriptor(), options_.color(), v1::IMPORT_COLOR_AUTO,
              &v1::ImportOptions::set_color);
    CheckEnum("fit", v1::ImportFit_descriptor(), options_.fit(), v1::IMPORT_FIT_PAD,
              &v1::ImportOptions::set_fit);
    CheckEnum("axes", v1::ArrayAxes_descriptor(), options_.axes(), v1::ARRAY_AXES_AUTO,
              &v1::ImportOptions::set_axes);
  }

  void CheckClassNames() {
    if (options_.class_names_size() > models::kMaxClasses) {
      return Wrong("class_names",
                   absl::StrCat("There are ", options_.class_names_size(),
                                " class names; there may be ", models::kMaxClasses, "."));
    }
    std::set<std::string> known;
    for (const std::string& name : options_.class_names()) {
      if (name.empty() || name.size() > models::kMaxClassNameBytes) {
        return Wrong("class_names",
                     absl::StrCat("The class name ", Quoted(name), " has ", name.size(),
                                  " bytes; it must have 1 to ", models::kMaxClassNameBytes, "."));
      }
      if (!known.insert(name).second) {
        return Wrong("class_names",
                     absl::StrCat("The class name ", Quoted(name), " is given twice."));
      }
    }
    if (known.size() == 1) Wrong("class_names", "There is one class name; give at least two.");
  }

  void CheckFraction(absl::string_view field, double value, absl::string_view more) {
    if (value >= 0 && value <= models::kMaxHeldBack) return;
    Wrong(field, absl::StrCat("The fraction is ", value, "; it must be 0 to ", models::kMaxHeldBack,
                              more, "."));
  }

  v1::ImportOptions options_;
  std::vector<FieldViolation> wrong_;
};

}  // namespace

absl::StatusOr<v1::ImportOptions> ResolveImportOptions(const v1::ImportOptions& options) {
  return OptionsResolution(options).Run();
}

bool SameOptions(const v1::ImportOptions& a, const v1::ImportOptions& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

absl::StatusOr<v1::ImportSpec> ResolveImport(const v1::ImportDatasetRequest& request,
                                             const v1::Upload& upload,
                                             const SpecResolver::Options& limits) {
  if (auto status = CheckRequestId(request.request_id()); !status.ok()) return status;
  auto options = ResolveImportOptions(request.options());
  auto wrong = ViolationsOf(options.status());
  CheckResources(limits, "", request, &wrong);
  if (!wrong.empty()) return InvalidFields(wrong);
  const auto dataset = ParseDatasetName(upload.dataset(), "upload");
  if (!dataset.ok()) return dataset.status();
  v1::ImportSpec spec;
  spec.set_dataset(dataset->dataset);
  spec.set_upload(upload.name());
  spec.set_source_name(upload.source_name());
  spec.set_size_bytes(upload.size_bytes());
  spec.set_sha256(upload.sha256());
  *spec.mutable_options() = *std::move(options);
  if (request.has_cores()) spec.set_cores(request.cores());
  if (request.has_memory_bytes()) spec.set_memory_bytes(request.memory_bytes());
  FillResources(limits, kImportMemory, &spec);
  return spec;
}

}  // namespace atelier::jobs
