#include "client/calls/dataset_images.h"

#include <algorithm>
#include <cstdint>

namespace atelier::client {
namespace {

// Of one answer; leaves room for names and numbers.
constexpr std::int64_t kBytes = std::int64_t{3} << 20;
constexpr std::int64_t kMostImages = 1000;

}  // namespace

int ImagesPerResponse(const v1::ImageShape& shape) {
  const std::int64_t image = std::int64_t{shape.channels()} * shape.height() * shape.width() + 100;
  return static_cast<int>(std::clamp<std::int64_t>(kBytes / image, 1, kMostImages));
}

absl::StatusOr<v1::GetImagesResponse> GetImages(Session& session,
                                                const v1::GetImagesRequest& request,
                                                const CallOptions& options) {
  v1::GetImagesResponse all;
  // The first answer tells how large they are.
  int count = 1;
  for (int begin = 0; begin < request.indices_size(); begin += count) {
    if (begin > 0) count = ImagesPerResponse(all.image_shape());
    const int end = std::min(request.indices_size(), begin + count);
    v1::GetImagesRequest part = request;
    part.mutable_indices()->Assign(request.indices().begin() + begin,
                                   request.indices().begin() + end);
    auto answer = session.Call(&DatasetService::GetImages, part, options);
    if (!answer.ok()) return answer.status();
    if (begin == 0) {
      all = *std::move(answer);
    } else {
      for (auto& image : *answer->mutable_images()) *all.add_images() = std::move(image);
    }
  }
  return all;
}

}  // namespace atelier::client
