// Random changes to an image of the training split that leave its class what it is, made anew each
// time the image is used. Values and a free function; thread-safe.
#ifndef ATELIER_MODELS_DATA_AUGMENTATION_H_
#define ATELIER_MODELS_DATA_AUGMENTATION_H_

#include <cstdint>

#include "models/base/image_shape.h"
#include "models/base/random.h"

namespace atelier::models {

// In the order in which they are applied.
struct Augmentation {
  // Images are replaced by a part of them, scaled to their size: the smallest share of the area
  // that it has, of which there may be all, its sides 3:4 to 4:3 (torchvision's RandomResizedCrop);
  // the whole image where ten tries find none that fits. 0 to 1, 0 for none.
  double random_resized_crop = 0;
  // Images are rotated about their centre by up to so many degrees in both directions, zeros coming
  // in. 0 to 180.
  double rotation = 0;
  // Half of the images are mirrored, left to right.
  bool horizontal_flip = false;
  // Images are moved by up to so many pixels along each axis, zeros coming in; 0 to 16 and less
  // than the image's height and width. (A random crop of the image with a border, He et al. 2016.)
  int64_t shift = 0;
  // Strength of random brightness, contrast and saturation, see JitterColors. 0 to 1.
  double color_jitter = 0;
  // Share of the images in which a rectangle is overwritten with random bytes: random erasing (RE-R
  // of Zhong et al. 2017), of 2 % to 33 % of the image's area and sides of 3:10 to 10:3. 0 to 1.
  double erasing = 0;

  bool any() const {
    return resamples() || horizontal_flip || shift > 0 || color_jitter > 0 || erasing > 0;
  }
  bool resamples() const { return random_resized_crop > 0 || rotation > 0; }
};

// `pixels` and `result` are shape.size() bytes each, channels × height × width.
void Augment(const Augmentation& augmentation, const ImageShape& shape, const uint8_t* pixels,
             RandomStream& random, uint8_t* result);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_AUGMENTATION_H_
