// Works out a network's layers one after the other; what each kind of layer needs for that.
// Private to models/network.
#ifndef ATELIER_MODELS_NETWORK_LAYER_PLANNER_H_
#define ATELIER_MODELS_NETWORK_LAYER_PLANNER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"

namespace atelier::models {

class LayerPlanner;

// A kind of layer, a row of the table in layer_kinds.cc.
struct LayerKind {
  v1::Layer::KindCase kind;
  // Of its layers, before their number.
  const char* name;
  // Fills in defaults, checks the layer, and says what it does to shapes and which tensors it has.
  void (*plan)(LayerPlanner& planner, LayerPlan& plan);
  // What it computes, for people.
  std::string (*phrase)(const LayerPlan& plan);
};

// For a kind that is not known here the row that says so.
const LayerKind& LayerKindOf(v1::Layer::KindCase kind);

class LayerPlanner {
 public:
  using Layers = google::protobuf::RepeatedPtrField<v1::Layer>;

  // What is known after the layers so far.
  struct Position {
    ImageShape shape;
    bool image = true;
    ReceptiveField field;
    // Pixels of the image between neighbouring outputs.
    int64_t row_step = 1;
    int64_t column_step = 1;
  };

  // Requires sizes in range.
  explicit LayerPlanner(const Architecture& architecture);

  // Once.
  std::vector<LayerPlan> Plan();
  const std::vector<std::string>& problems() const { return problems_; }

  // The rest is for the kinds of layers, while they plan one.
  Position& at() { return at_; }
  // False after a mistake that leaves shapes unknown: then only ranges are checked.
  bool known() const { return known_; }
  // The training's.
  double dropout() const { return architecture_.dropout; }

  // Whether the layer gets an image; else a mistake.
  bool NeedsImage(const LayerPlan& plan);
  // Mistakes of a layer; false if there is one.
  bool InRange(const LayerPlan& plan, absl::string_view what, int64_t value, int64_t low,
               int64_t high);
  bool PositiveShare(const LayerPlan& plan, absl::string_view what, double value);
  void Wrong(const LayerPlan& plan, absl::string_view what);
  // From here on no shape is known.
  void Lose() { known_ = false; }

  // Moves a window over the image: sets the output's size. False if nothing is left of it.
  bool Slide(LayerPlan& plan, v1::Padding padding, int64_t channels);
  // From here on there are lists of numbers.
  void Flatten(int64_t numbers);
  // From here on everything depends on the whole image.
  void SeeAll();
  // Works out a block's own layers.
  void PlanBody(const Layers& layers, LayerPlan& plan);
  static std::string ShapeText(const Position& at);

 private:
  std::vector<LayerPlan> PlanLayers(const Layers& layers, const std::string& prefix);
  LayerPlan PlanLayer(const v1::Layer& layer, const std::string& place);

  const Architecture& architecture_;
  Position at_;
  bool known_ = true;
  // Of residual blocks around the layer that is being planned.
  int64_t depth_ = 0;
  std::map<std::string, int> numbers_;
  // Title of the layer before.
  std::string previous_;
  std::vector<std::string> problems_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_LAYER_PLANNER_H_
