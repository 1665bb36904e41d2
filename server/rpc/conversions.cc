#include "server/rpc/conversions.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "server/serving/input_error.h"

namespace atelier::rpc {
namespace {

void SetDuration(absl::Duration duration, google::protobuf::Duration* proto) {
  duration = std::max(duration, absl::ZeroDuration());
  proto->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto->set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(duration)));
}

absl::StatusOr<models::Resize> FromProto(v1::Resize resize) {
  switch (resize) {
    case v1::RESIZE_UNSPECIFIED:
    case v1::RESIZE_PAD:
      return models::Resize::kPad;
    case v1::RESIZE_STRETCH:
      return models::Resize::kStretch;
    case v1::RESIZE_NONE:
      return models::Resize::kNone;
    default:
      return jobs::InvalidField(
          "encoded.resize",
          absl::StrCat("There is no way ", static_cast<int>(resize), " to resize."));
  }
}

absl::StatusOr<models::Inversion> FromProto(v1::Inversion inversion) {
  switch (inversion) {
    case v1::INVERSION_UNSPECIFIED:
    case v1::INVERSION_NO:
      return models::Inversion::kNo;
    case v1::INVERSION_YES:
      return models::Inversion::kYes;
    case v1::INVERSION_AUTO:
      return models::Inversion::kAuto;
    default:
      return jobs::InvalidField(
          "encoded.inversion",
          absl::StrCat("There is no way ", static_cast<int>(inversion), " to invert."));
  }
}

absl::StatusOr<serving::EncodedImages> FromProto(const v1::EncodedImages& images) {
  serving::EncodedImages views;
  views.files.reserve(static_cast<std::size_t>(images.files_size()));
  for (const std::string& file : images.files()) views.files.push_back(file);
  const auto resize = FromProto(images.resize());
  if (!resize.ok()) return resize.status();
  const auto inversion = FromProto(images.inversion());
  if (!inversion.ok()) return inversion.status();
  views.fit = {*resize, *inversion};
  return views;
}

// The images of a message that has them in one of the three forms.
template <typename Request>
absl::StatusOr<serving::ImageInput> ImagesIn(const Request& request) {
  switch (request.input_case()) {
    case Request::kEncoded: {
      auto encoded = FromProto(request.encoded());
      if (!encoded.ok()) return encoded.status();
      return serving::ImageInput(*std::move(encoded));
    }
    case Request::kRaw: {
      const std::string& pixels = request.raw().pixels();
      return serving::ImageInput(serving::RawImages{absl::MakeConstSpan(
          reinterpret_cast<const std::uint8_t*>(pixels.data()), pixels.size())});
    }
    case Request::kFloats:
      return serving::ImageInput(serving::FloatImages{request.floats().pixels()});
    case Request::INPUT_NOT_SET:
      break;
  }
  return jobs::InvalidField("input",
                            "There is no input; set encoded, raw or floats to the images.");
}

}  // namespace

v1::ImageShape ToProto(const models::ImageShape& shape) {
  v1::ImageShape proto;
  proto.set_channels(static_cast<std::int32_t>(shape.channels));
  proto.set_height(static_cast<std::int32_t>(shape.height));
  proto.set_width(static_cast<std::int32_t>(shape.width));
  return proto;
}

v1::Dataset ToProto(const models::DatasetInfo& info) {
  v1::Dataset proto;
  proto.mutable_class_names()->Add(info.class_names.begin(), info.class_names.end());
  *proto.mutable_image_shape() = ToProto(info.shape);
  proto.set_training_images(info.training_images - info.validation_images);
  proto.set_validation_images(info.validation_images);
  proto.set_test_images(info.test_images);
  proto.set_size_bytes(info.bytes());
  return proto;
}

void AddStatistics(const models::DatasetStatistics& statistics, v1::Dataset* dataset) {
  for (std::size_t i = 0; i < statistics.training.size(); ++i) {
    v1::ClassCounts* counts = dataset->add_class_counts();
    counts->set_training_images(statistics.training[i]);
    counts->set_validation_images(statistics.validation[i]);
    counts->set_test_images(statistics.test[i]);
  }
  dataset->mutable_channel_mean()->Assign(statistics.mean.begin(), statistics.mean.end());
  dataset->mutable_channel_deviation()->Assign(statistics.standard_deviation.begin(),
                                               statistics.standard_deviation.end());
}

v1::ClassifyResponse ToProto(const serving::ClassifyResult& result) {
  v1::ClassifyResponse proto;
  const serving::Version& version = result.version->version;
  proto.set_model_version(jobs::ModelVersionName(version.model, version.number));
  const std::vector<std::string>& names = result.version->engine->class_names();
  proto.mutable_classifications()->Reserve(static_cast<int>(result.images));
  for (std::size_t image = 0; image < result.images; ++image) {
    auto* classes = proto.add_classifications()->mutable_classes();
    classes->Reserve(result.top_k);
    for (const serving::RankedClass& entry : result.Rank(image)) {
      auto* added = classes->Add();
      added->set_index(entry.index);
      added->set_name(names[static_cast<std::size_t>(entry.index)]);
      added->set_probability(entry.probability);
    }
  }
  if (result.temperature.has_value()) proto.set_temperature(*result.temperature);
  SetDuration(result.queue_time, proto.mutable_queue_time());
  SetDuration(result.input_time + result.compute_time, proto.mutable_compute_time());
  proto.set_largest_batch(static_cast<std::int32_t>(result.largest_batch));
  return proto;
}

absl::StatusOr<serving::ImageInput> InputOf(const v1::ClassifyRequest& request) {
  return ImagesIn(request);
}

absl::StatusOr<serving::ImageInput> InputOf(const v1::GetFeatureMapsRequest& request) {
  return ImagesIn(request);
}

absl::StatusOr<serving::ImageInput> InputOf(const v1::ExplainRequest& request) {
  return ImagesIn(request);
}

absl::StatusOr<serving::ClassifyRequest> FromProto(const v1::ClassifyRequest& request) {
  auto name = jobs::ParseModelName(request.model(), "model");
  if (!name.ok()) return name.status();
  auto input = InputOf(request);
  if (!input.ok()) return input.status();
  serving::ClassifyRequest converted;
  converted.model = std::move(name->model);
  converted.reference = std::move(name->version);
  converted.input = *std::move(input);
  converted.top_k = request.top_k();
  converted.calibrated = request.calibrated();
  return converted;
}

absl::Status WithDetail(const absl::Status& status) {
  if (const std::string field = serving::FieldOf(status); !field.empty()) {
    return jobs::InvalidField(field, status.message());
  }
  if (!jobs::ReasonOf(status).empty() || !jobs::ViolationsOf(status).empty()) return status;
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return jobs::Error(status.code(), "NOT_CALIBRATED", status.message());
    case absl::StatusCode::kUnavailable:
      return jobs::Error(status.code(), "VERSION_UNAVAILABLE", status.message());
    case absl::StatusCode::kResourceExhausted:
      return jobs::Error(status.code(), "QUEUE_FULL", status.message());
    case absl::StatusCode::kDeadlineExceeded:
      return jobs::Error(status.code(), "EXPIRED_IN_QUEUE", status.message());
    default:
      return status;
  }
}

}  // namespace atelier::rpc
