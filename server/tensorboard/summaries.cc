#include "server/tensorboard/summaries.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"

namespace atelier::tensorboard {
namespace {

constexpr char kFileVersion[] = "brain.Event:2";
constexpr char kHyperparameterPlugin[] = "hparams";
// The tags by which that plugin finds its messages.
constexpr char kSessionStartTag[] = "_hparams_/session_start_info";
constexpr char kSessionEndTag[] = "_hparams_/session_end_info";
// The plugin that draws several series in one chart, and the tag by which it finds the charts.
constexpr char kChartPlugin[] = "custom_scalars";
constexpr char kChartTag[] = "custom_scalars__config__";
constexpr int kFloat32 = 1;
constexpr int kTexts = 7;
constexpr int kGrey = 1;

double Seconds(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + time.nanos() * 1e-9;
}

void AddNumber(const std::string& tag, double number, Event* event) {
  Summary::Value* const value = event->mutable_summary()->add_value();
  value->set_tag(tag);
  value->set_simple_value(static_cast<float>(number));
}

void AddSession(const std::string& tag, const HyperparameterData& data, Event* event) {
  Summary::Value* const value = event->mutable_summary()->add_value();
  value->set_tag(tag);
  SummaryMetadata::PluginData* const plugin = value->mutable_metadata()->mutable_plugin_data();
  plugin->set_plugin_name(kHyperparameterPlugin);
  plugin->set_content(data.SerializeAsString());
  // Everything is in the metadata; without a tensor the value is passed over.
  value->mutable_tensor()->set_dtype(kFloat32);
  value->mutable_tensor()->mutable_tensor_shape()->add_dim()->set_size(1);
  value->mutable_tensor()->add_float_val(0);
}

// A chart of training and validation over epochs.
void AddChart(const std::string& figure, ChartLayout::Category* category) {
  ChartLayout::Chart* const chart = category->add_chart();
  chart->set_title(figure);
  for (const char* part : {"training", "validation"}) {
    chart->mutable_multiline()->add_tag(absl::StrCat("^epoch/", part, "_", figure, "$"));
  }
}

void AddCharts(Event* event) {
  ChartLayout layout;
  ChartLayout::Category* const category = layout.add_category();
  category->set_title("training and validation");
  AddChart("loss", category);
  AddChart("accuracy", category);
  Summary::Value* const value = event->mutable_summary()->add_value();
  value->set_tag(kChartTag);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name(kChartPlugin);
  value->mutable_tensor()->set_dtype(kTexts);
  value->mutable_tensor()->mutable_tensor_shape();
  value->mutable_tensor()->add_string_val(layout.SerializeAsString());
}

// A list of whole numbers, separated by commas.
std::string ListText(const v1::TrainingSpec& spec, const google::protobuf::FieldDescriptor* field) {
  const google::protobuf::Reflection& reader = *spec.GetReflection();
  std::string text;
  for (int i = 0; i < reader.FieldSize(spec, field); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", reader.GetRepeatedInt32(spec, field, i));
  }
  return text;
}

// A field of a specification as a number, a truth or a word; of the network its name.
google::protobuf::Value ValueOf(const v1::TrainingSpec& spec,
                                const google::protobuf::FieldDescriptor* field) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reader = *spec.GetReflection();
  google::protobuf::Value value;
  if (field->is_repeated()) {
    value.set_string_value(ListText(spec, field));
    return value;
  }
  switch (field->cpp_type()) {
    case Field::CPPTYPE_INT32:
      value.set_number_value(reader.GetInt32(spec, field));
      break;
    case Field::CPPTYPE_INT64:
      value.set_number_value(static_cast<double>(reader.GetInt64(spec, field)));
      break;
    case Field::CPPTYPE_DOUBLE:
      value.set_number_value(reader.GetDouble(spec, field));
      break;
    case Field::CPPTYPE_BOOL:
      value.set_bool_value(reader.GetBool(spec, field));
      break;
    case Field::CPPTYPE_ENUM:
      value.set_string_value(jobs::EnumWord(field->enum_type(), reader.GetEnumValue(spec, field)));
      break;
    case Field::CPPTYPE_MESSAGE:
      value.set_string_value(spec.network().name());
      break;
    default:
      value.set_string_value(reader.GetString(spec, field));
  }
  return value;
}

// What decides what is learned, and how fast; not what a job is called or when it runs.
bool IsHyperparameter(const google::protobuf::FieldDescriptor* field) {
  return field->name() != "conv_depth" && field->name() != "priority" &&
         field->name() != "model_name";
}

// Whether the field says nothing: the preset stands for it, or the optimiser has no use for it.
bool IsAbsent(const v1::TrainingSpec& spec, const google::protobuf::FieldDescriptor* field) {
  const google::protobuf::Reflection& reader = *spec.GetReflection();
  if (field->is_repeated()) return reader.FieldSize(spec, field) == 0;
  return (field->has_presence() || field->enum_type() != nullptr) && !reader.HasField(spec, field);
}

void AddStep(const v1::Progress& step, Event* event) {
  event->set_step(std::int64_t{step.epoch() - 1} * step.steps_per_epoch() + step.step());
  AddNumber("step/training_loss", step.training_loss(), event);
  AddNumber("step/training_accuracy", step.training_accuracy(), event);
  AddNumber("step/images_per_second", step.images_per_second(), event);
}

void AddEpoch(const v1::EpochMetrics& epoch, Event* event) {
  event->set_step(epoch.epoch());
  AddNumber("epoch/training_loss", epoch.training_loss(), event);
  AddNumber("epoch/training_accuracy", epoch.training_accuracy(), event);
  AddNumber("epoch/validation_loss", epoch.validation_loss(), event);
  AddNumber("epoch/validation_accuracy", epoch.validation_accuracy(), event);
  AddNumber("epoch/validation_macro_f1", epoch.validation_macro_f1(), event);
  AddNumber("epoch/learning_rate", epoch.learning_rate(), event);
  AddNumber("epoch/images_per_second", epoch.images_per_second(), event);
  AddNumber("epoch/seconds", epoch.seconds(), event);
}

void AddResult(const v1::TrainingResult& result, const std::vector<Picture>& pictures,
               Event* event) {
  event->set_step(result.best_epoch());
  AddNumber("test/loss", result.test_loss(), event);
  AddNumber("test/accuracy", result.test_accuracy(), event);
  for (const Picture& picture : pictures) {
    Summary::Value* const value = event->mutable_summary()->add_value();
    value->set_tag(picture.tag);
    value->mutable_image()->set_height(static_cast<std::int32_t>(picture.height));
    value->mutable_image()->set_width(static_cast<std::int32_t>(picture.width));
    value->mutable_image()->set_colorspace(kGrey);
    value->mutable_image()->set_encoded_image_string(picture.png);
  }
}

void AddEnd(const v1::StateTransition& end, Event* event) {
  HyperparameterData data;
  SessionEnd* const session = data.mutable_session_end_info();
  session->set_status(end.state() == v1::JOB_STATE_FAILED ? SESSION_STATUS_FAILURE
                                                          : SESSION_STATUS_SUCCESS);
  session->set_end_time_secs(Seconds(end.time()));
  AddSession(kSessionEndTag, data, event);
}

}  // namespace

std::vector<Event> Heading(const v1::TrainingJob& job) {
  Event version;
  version.set_wall_time(Seconds(job.create_time()));
  version.set_file_version(kFileVersion);
  HyperparameterData data;
  SessionStart* const session = data.mutable_session_start_info();
  session->set_start_time_secs(version.wall_time());
  const google::protobuf::Descriptor& fields = *v1::TrainingSpec::descriptor();
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::FieldDescriptor* const field = fields.field(i);
    if (!IsHyperparameter(field) || IsAbsent(job.spec(), field)) continue;
    (*session->mutable_hparams())[field->name()] = ValueOf(job.spec(), field);
  }
  Event anew;
  anew.set_wall_time(version.wall_time());
  anew.mutable_session_log()->set_status(SessionLog::STATUS_START);
  Event start;
  start.set_wall_time(version.wall_time());
  AddSession(kSessionStartTag, data, &start);
  AddCharts(&start);
  return {std::move(version), std::move(anew), std::move(start)};
}

std::vector<Event> Summarize(const v1::JobEvent& event, const std::vector<Picture>& pictures) {
  Event summary;
  summary.set_wall_time(Seconds(event.time()));
  switch (event.event_case()) {
    case v1::JobEvent::kStep:
      AddStep(event.step(), &summary);
      break;
    case v1::JobEvent::kEpoch:
      AddEpoch(event.epoch(), &summary);
      break;
    case v1::JobEvent::kResult:
      AddResult(event.result(), pictures, &summary);
      break;
    case v1::JobEvent::kTransition:
      if (jobs::IsTerminal(event.transition().state())) AddEnd(event.transition(), &summary);
      break;
    default:
      break;
  }
  if (!summary.has_summary()) return {};
  return {std::move(summary)};
}

}  // namespace atelier::tensorboard
