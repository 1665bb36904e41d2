#include "models/import/image_pipeline.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "models/base/thread_team.h"
#include "models/import/listing.h"
#include "models/pictures/image_fit.h"

namespace atelier::models {
namespace {

constexpr size_t kBatchImages = 512;
constexpr size_t kBatchBytes = size_t{8} << 20;
// Taken by a thread at once.
constexpr size_t kPiece = 8;

bool IsGrey(const Image& image) {
  if (image.channels == 1) return true;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    const uint8_t* pixel = &image.pixels[i];
    if (pixel[0] != pixel[1] || pixel[0] != pixel[2]) return false;
  }
  return true;
}

}  // namespace

ImagePipeline::Batch ImagePipeline::ReadBatch() {
  Batch batch;
  size_t bytes = 0;
  while (batch.items.size() < kBatchImages && bytes < kBatchBytes) {
    Item item;
    const absl::StatusOr<bool> more = source_->Next(&item.image);
    if (absl::IsInvalidArgument(more.status())) {
      item.status = more.status();
    } else if (!more.ok()) {
      batch.status = more.status();
      break;
    } else if (!*more) {
      break;
    }
    bytes += item.image.bytes.size();
    batch.items.push_back(std::move(item));
  }
  return batch;
}

absl::StatusOr<std::vector<uint8_t>> ImagePipeline::Fit(Item* item) const {
  absl::StatusOr<Image> image = source_->Decode(item->image);
  if (!image.ok()) return image.status();
  // Not held until the batch is done.
  std::string().swap(item->image.bytes);
  item->grey = IsGrey(*image);
  if (options_.fit == ImportOptions::Fit::kCrop) {
    image = CropToProportions(*std::move(image), placed_.shape.height, placed_.shape.width);
  }
  const bool pad = options_.fit == ImportOptions::Fit::kPad;
  return FitImage(
      *std::move(image), placed_.shape,
      {pad ? Resize::kPad : Resize::kStretch, options_.invert ? Inversion::kYes : Inversion::kNo});
}

void ImagePipeline::Process(absl::Span<Item> items) const {
  std::vector<uint8_t> run;
  int64_t begin = 0;  // Of the run in the file.
  absl::Status written;
  for (Item& item : items) {
    if (!item.status.ok()) continue;
    const absl::StatusOr<std::vector<uint8_t>> pixels = Fit(&item);
    item.status = pixels.status();
    if (!pixels.ok()) continue;
    const int64_t place = plan_.place_of_image[static_cast<size_t>(item.image.index)];
    const int64_t offset = placed_.OffsetOf(place, plan_);
    if (offset != begin + static_cast<int64_t>(run.size())) {
      written.Update(file_.Write(begin, run));
      run.clear();
    }
    if (run.empty()) begin = offset;
    run.insert(run.end(), pixels->begin(), pixels->end());
  }
  written.Update(file_.Write(begin, run));
  // Which of the images was not written does not matter: the import ends.
  if (!written.ok()) items.front().status = written;
}

// Where the batch fills a part of the file that will not be packed otherwise: sources that come in
// order, such as arrays.
void ImagePipeline::BeginSync(const Batch& batch) const {
  if (batch.items.empty() || (placed_.shape.channels == 3 && placed_.all_grey)) return;
  const auto place_of = [&](const Item& item) {
    return plan_.place_of_image[static_cast<size_t>(item.image.index)];
  };
  const int64_t first = place_of(batch.items.front());
  const int64_t last = place_of(batch.items.back());
  if (last - first + 1 != static_cast<int64_t>(batch.items.size())) return;
  const int64_t begin = placed_.OffsetOf(first, plan_);
  file_.BeginSync(begin, placed_.OffsetOf(last, plan_) + placed_.shape.size() - begin);
}

absl::Status ImagePipeline::Collect(const Batch& batch) {
  for (const Item& item : batch.items) {
    if (item.status.ok()) {
      placed_.present[static_cast<size_t>(
          plan_.place_of_image[static_cast<size_t>(item.image.index)])] = 1;
      placed_.all_grey &= item.grey;
    } else if (absl::IsInvalidArgument(item.status)) {
      unreadable_->Add(source_->NameOf(item.image.index), item.status.message());
    } else {
      return item.status;
    }
  }
  BeginSync(batch);
  done_ += static_cast<int64_t>(batch.items.size());
  if (run_.progress) run_.progress({done_, plan_.places()});
  if (absl::Status status = unreadable_->Check(all_); !status.ok()) return status;
  return CheckStop(run_.stop);
}

absl::StatusOr<PlacedImages> ImagePipeline::Run(const ImageShape& shape) {
  placed_.shape = shape;
  all_ = plan_.places() + unreadable_->count();
  placed_.present.assign(plan_.labels.size(), 0);
  ThreadTeam team(std::max<int64_t>(run_.threads, 1));
  Batch batch = ReadBatch();
  while (!batch.items.empty() || !batch.status.ok()) {
    if (!batch.status.ok()) return batch.status;
    Batch next;
    const size_t pieces = (batch.items.size() + kPiece - 1) / kPiece;
    team.Run(static_cast<int64_t>(pieces) + 1, [&](int64_t piece) {
      if (piece == 0) {
        next = ReadBatch();
        return;
      }
      const size_t first = static_cast<size_t>(piece - 1) * kPiece;
      Process(absl::MakeSpan(batch.items).subspan(first, kPiece));
    });
    if (absl::Status status = Collect(batch); !status.ok()) return status;
    batch = std::move(next);
  }
  return std::move(placed_);
}

}  // namespace atelier::models
