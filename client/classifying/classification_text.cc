#include "client/classifying/classification_text.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

constexpr int kLongestBar = 24;
constexpr int kGap = 3;

// A bar with eighths of a character.
std::string Bar(double fraction, int width) {
  static constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(
      std::lround(std::clamp(fraction, 0.0, 1.0) * width * static_cast<double>(kEighths.size())));
  std::string bar;
  for (std::size_t i = 0; i < eighths / kEighths.size(); ++i) bar += "█";
  return bar + kEighths[eighths % kEighths.size()];
}

// A line per class. The true class is marked, and so is a wrong answer.
std::vector<std::string> ClassLines(const ClassifiedImage& image, const Style& style, int width) {
  int widest = 0;
  for (const auto& entry : image.classification.classes()) {
    widest = std::max(widest, DisplayWidth(entry.name()));
  }
  constexpr int kMarkAndPercent = 2 + 2 + 8 + 2;
  const int bar = std::min(kLongestBar, width - widest - kMarkAndPercent);
  std::vector<std::string> lines;
  for (const auto& entry : image.classification.classes()) {
    const bool first = lines.empty();
    const bool is_true = entry.name() == image.true_class;
    const bool wrong = first && !image.true_class.empty() && !is_true;
    const Ink ink = is_true ? Ink::kGreen : wrong ? Ink::kRed : first ? Ink::kCyan : Ink::kDim;
    std::string line = absl::StrCat(is_true ? "✔ "
                                    : wrong ? "✘ "
                                            : "  ",
                                    PadRight(entry.name(), widest), "  ",
                                    PadLeft(Percent(entry.probability()), 8));
    const std::string drawn = bar > 3 ? Bar(entry.probability(), bar) : "";
    if (!drawn.empty()) absl::StrAppend(&line, "  ", drawn);
    lines.push_back(style.Paint(ink, line));
  }
  return lines;
}

}  // namespace

bool IsRight(const ClassifiedImage& image) {
  const auto& classes = image.classification.classes();
  return !classes.empty() && classes.begin()->name() == image.true_class;
}

std::string ClassificationLine(const ClassifiedImage& image, const Style& style, int class_width,
                               int width) {
  const v1::ClassProbability none;
  const auto& classes = image.classification.classes();
  const v1::ClassProbability& first = classes.empty() ? none : classes.Get(0);
  const std::string name = PadRight(first.name(), class_width);
  const std::string percent = PadLeft(Percent(first.probability()), 9);
  // A guess that is less probable than all others together is shown as one.
  const Ink ink = first.probability() < 0.5F ? Ink::kYellow : Ink::kCyan;
  const int room = width - DisplayWidth(name) - DisplayWidth(percent) - 2;
  return absl::StrCat(style.Paint(ink, name), percent, "  ", Clip(image.title, std::max(room, 16)),
                      "\n");
}

std::string ClassificationText(const ClassifiedImage& image, const Style& style, int width) {
  const int indent = image.picture.empty() ? 0 : image.picture_width + kGap;
  std::string title = style.Paint(Ink::kBold, image.title);
  if (!image.true_class.empty()) absl::StrAppend(&title, ", truly ", image.true_class);
  std::vector<std::string> lines = {std::move(title)};
  for (std::string& line : ClassLines(image, style, width - indent)) {
    lines.push_back(std::move(line));
  }
  // Beside a picture the words stand in its middle.
  const std::size_t height = std::max(lines.size(), image.picture.size());
  const std::size_t top = (height - lines.size()) / 2;
  std::string text;
  for (std::size_t i = 0; i < height; ++i) {
    const bool words = i >= top && i - top < lines.size();
    if (indent > 0) {
      const bool drawn = i < image.picture.size();
      absl::StrAppend(&text, drawn
                                 ? image.picture[i]
                                 : std::string(static_cast<std::size_t>(image.picture_width), ' '));
      if (words) text.append(kGap, ' ');
    }
    absl::StrAppend(&text, words ? lines[i - top] : "", "\n");
  }
  return text;
}

}  // namespace atelier::client
