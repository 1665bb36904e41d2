#include "server/jobs/queue_view.h"

#include <gtest/gtest.h>

namespace atelier::jobs {
namespace {

JobRecord Job(std::int64_t sequence, int priority = 0) {
  JobRecord record;
  record.sequence = sequence;
  record.job.mutable_spec()->set_priority(priority);
  return record;
}

// The job's place; -1 if it does not wait.
int PlaceOf(const QueueView& view, const JobRecord& job) {
  const auto place = view.Find(job);
  return place.has_value() ? place->number : -1;
}

TEST(QueueViewTest, CountsThoseBefore) {
  QueueView view;
  view.Add(Job(2), "");
  view.Add(Job(1), "");
  view.Add(Job(3, 5), "");
  EXPECT_EQ(PlaceOf(view, Job(3, 5)), 0);
  EXPECT_EQ(PlaceOf(view, Job(1)), 1);
  EXPECT_EQ(PlaceOf(view, Job(2)), 2);
  EXPECT_EQ(PlaceOf(view, Job(4)), -1);
}

TEST(QueueViewTest, ThoseBehindMoveUp) {
  QueueView view;
  for (int i = 0; i < 4; ++i) view.Add(Job(i), "");
  view.Remove(Job(0));
  view.Remove(Job(2));
  view.Remove(Job(7));
  EXPECT_EQ(PlaceOf(view, Job(0)), -1);
  EXPECT_EQ(PlaceOf(view, Job(1)), 0);
  EXPECT_EQ(PlaceOf(view, Job(2)), -1);
  EXPECT_EQ(PlaceOf(view, Job(3)), 1);
}

TEST(QueueViewTest, AddedAgainAJobHasOnePlaceAndItsNewReason) {
  QueueView view;
  view.Add(Job(1), "first");
  view.Add(Job(1), "second");
  view.Add(Job(2), "");
  EXPECT_EQ(view.Find(Job(1))->waiting_reason, "second");
  EXPECT_EQ(PlaceOf(view, Job(2)), 1);
  view.Remove(Job(1));
  view.Add(Job(1), "");
  EXPECT_EQ(view.Find(Job(1))->waiting_reason, "");
}

TEST(QueueViewTest, TheHeadsReasonIsThatOfWhoeverIsFirst) {
  QueueView view;
  view.Add(Job(1), "its own");
  view.Add(Job(2), "");
  view.SetHeadReason("memory");
  EXPECT_EQ(view.Find(Job(1))->waiting_reason, "memory");
  EXPECT_EQ(view.Find(Job(2))->waiting_reason, "");
  view.Remove(Job(1));
  EXPECT_EQ(view.Find(Job(2))->waiting_reason, "memory");
  view.SetHeadReason("");
  EXPECT_EQ(view.Find(Job(2))->waiting_reason, "");
}

}  // namespace
}  // namespace atelier::jobs
