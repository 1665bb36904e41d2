#include "server/webhooks/webhook_sender.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/job_change.h"
#include "server/jobs/notify_url.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::webhooks {
namespace {

constexpr char kUrl[] = "https://example.org/hook?key=hidden";

// Answers each post as it is told, and remembers them.
class FakePoster final : public HttpPoster {
 public:
  absl::Status Post(const HttpPost& post) override {
    posts.push_back(post);
    return answer;
  }
  std::string Header(const std::string& name) const {
    for (const std::string& header : posts.back().headers) {
      if (absl::StartsWith(header, name + ": ")) return header.substr(name.size() + 2);
    }
    return "";
  }

  absl::Status answer = absl::OkStatus();
  std::vector<HttpPost> posts;
};

class CountingObserver final : public WebhookObserver {
 public:
  void Posted(PostResult result) override { ++counts[result]; }
  std::map<PostResult, int> counts;
};

class WebhookSenderTest : public testing::Test {
 protected:
  WebhookSenderTest() { Restart({}); }

  void Restart(const std::string& always, const std::string& secret = "") {
    sender_.reset();
    store_.reset();
    store_ = *store::SqliteStore::Open(folder_ / "atelier.db", {.notify_url = always});
    sender_ = std::make_unique<WebhookSender>(
        WebhookSender::Options{
            .secret = secret,
            .log = [this](const std::string& sentence) { log_.push_back(sentence); }},
        WebhookSender::Dependencies{
            .clock = &clock_, .store = store_.get(), .poster = &poster_, .observer = &observer_});
  }
  // A job whose end is told there.
  jobs::JobRecord Insert(const std::string& id, const std::string& url) {
    jobs::JobRecord record = store::MakeRecord(id);
    record.notify_url = url;
    EXPECT_TRUE(store_->Insert(record, {}).ok());
    return record;
  }
  void End(const jobs::JobRecord& record) {
    jobs::JobChange change(record, clock_.Now());
    ASSERT_TRUE(change.Enter(v1::JOB_STATE_FAILED, "BAD_DATA", "It was bad.").ok());
    ASSERT_TRUE(store_->Commit(change.update()).ok());
  }

  jobs::FakeClock clock_;
  store::TemporaryFolder folder_;
  FakePoster poster_;
  CountingObserver observer_;
  std::vector<std::string> log_;
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<WebhookSender> sender_;
};

TEST_F(WebhookSenderTest, AnEndIsToldOnceAndNotBefore) {
  const jobs::JobRecord record = Insert("a", kUrl);
  EXPECT_EQ(sender_->Tick(), absl::InfiniteDuration());
  EXPECT_TRUE(poster_.posts.empty()) << "the job has not ended";
  End(record);
  EXPECT_EQ(sender_->Tick(), absl::InfiniteDuration());
  ASSERT_EQ(poster_.posts.size(), 1u);
  EXPECT_EQ(poster_.posts[0].url, kUrl);
  EXPECT_TRUE(absl::StrContains(poster_.posts[0].body, R"("name":"jobs/a")"));
  EXPECT_TRUE(absl::StrContains(poster_.posts[0].body, R"("state":"JOB_STATE_FAILED")"));
  EXPECT_EQ(poster_.Header("webhook-id"), "notice-1");
  EXPECT_EQ(poster_.Header("webhook-timestamp"), absl::StrCat(absl::ToUnixSeconds(clock_.Now())));
  EXPECT_EQ(poster_.Header("webhook-signature"), "") << "there is no secret";
  sender_->Tick();
  EXPECT_EQ(poster_.posts.size(), 1u);
  EXPECT_EQ(observer_.counts[PostResult::kDelivered], 1);
}

TEST_F(WebhookSenderTest, TheServersOwnUrlIsToldOfEveryJob) {
  Restart("http://example.net");
  const jobs::JobRecord one = Insert("a", "");
  const jobs::JobRecord both = Insert("b", kUrl);
  End(one);
  End(both);
  sender_->Tick();
  ASSERT_EQ(poster_.posts.size(), 3u);
  std::map<std::string, int> urls;
  for (const HttpPost& post : poster_.posts) ++urls[post.url];
  EXPECT_EQ(urls["http://example.net"], 2);
  EXPECT_EQ(urls[kUrl], 1);
}

TEST_F(WebhookSenderTest, AFailedPostIsRepeatedAfterGrowingPausesAndOverRestarts) {
  End(Insert("a", kUrl));
  poster_.answer = absl::UnavailableError("the receiver answered 500");
  EXPECT_EQ(sender_->Tick(), absl::Seconds(10));
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_EQ(log_[0],
            "The end of jobs/a was not told to example.org: the receiver answered 500; the next "
            "try is in 10s.");
  clock_.Advance(absl::Seconds(9));
  EXPECT_EQ(sender_->Tick(), absl::Seconds(1)) << "not yet";
  EXPECT_EQ(poster_.posts.size(), 1u);
  clock_.Advance(absl::Seconds(1));
  Restart("");
  EXPECT_EQ(sender_->Tick(), absl::Minutes(1));
  EXPECT_EQ(poster_.posts.size(), 2u);
  EXPECT_EQ(poster_.Header("webhook-id"), "notice-1") << "the same notice";
  poster_.answer = absl::OkStatus();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(sender_->Tick(), absl::InfiniteDuration());
  EXPECT_EQ(observer_.counts[PostResult::kPostponed], 2);
  EXPECT_EQ(observer_.counts[PostResult::kDelivered], 1);
}

TEST_F(WebhookSenderTest, ItIsGivenUpInTheEnd) {
  End(Insert("a", kUrl));
  poster_.answer = absl::UnavailableError("nobody is there");
  absl::Duration pause = sender_->Tick();
  absl::Duration whole;
  while (pause != absl::InfiniteDuration()) {
    whole += pause;
    clock_.Advance(pause);
    pause = sender_->Tick();
  }
  EXPECT_EQ(poster_.posts.size(), 9u);
  EXPECT_EQ(whole, absl::Hours(44) + absl::Minutes(36) + absl::Seconds(10));
  EXPECT_TRUE(absl::EndsWith(log_.back(), "nobody is there; it is given up."));
  EXPECT_EQ(observer_.counts[PostResult::kGivenUp], 1);
}

TEST_F(WebhookSenderTest, AReceiverThatIsGoneIsGivenUpAtOnce) {
  End(Insert("a", kUrl));
  poster_.answer = absl::NotFoundError("the receiver answered 410");
  EXPECT_EQ(sender_->Tick(), absl::InfiniteDuration());
  EXPECT_EQ(observer_.counts[PostResult::kGivenUp], 1);
}

TEST_F(WebhookSenderTest, WhatAStopInterruptsIsLeftToTheNextServer) {
  End(Insert("a", kUrl));
  poster_.answer = absl::CancelledError("the server is stopping");
  sender_->Tick();
  EXPECT_TRUE(observer_.counts.empty());
  poster_.answer = absl::OkStatus();
  Restart("");
  sender_->Tick();
  EXPECT_EQ(observer_.counts[PostResult::kDelivered], 1);
}

TEST_F(WebhookSenderTest, ADeletedJobsEndIsStillTold) {
  End(Insert("a", kUrl));
  ASSERT_TRUE(store_->Delete("a", clock_.Now()).ok());
  sender_->Tick();
  EXPECT_EQ(poster_.posts.size(), 1u);
}

// The number is that of Python's hmac for the same secret and text.
TEST_F(WebhookSenderTest, SignsAsTheStandardSays) {
  EXPECT_EQ(SignatureOf("0123456789abcdef", "notice-1", "1700000000", "{}"),
            "v1,RawcMe8H6cS22Bo+2Xu26FwUAegse/jNZIkANaSRwK0=");
  Restart("", "0123456789abcdef");
  End(Insert("a", kUrl));
  sender_->Tick();
  EXPECT_EQ(poster_.Header("webhook-signature"),
            SignatureOf("0123456789abcdef", poster_.Header("webhook-id"),
                        poster_.Header("webhook-timestamp"), poster_.posts[0].body));
}

TEST_F(WebhookSenderTest, AnEndAsksForATick) {
  int kicks = 0;
  sender_->SetKick([&] { ++kicks; });
  jobs::JobRecord record = store::MakeRecord("a");
  sender_->Stored(record, {store::EpochEvent(1)});
  EXPECT_EQ(kicks, 0);
  record.job.set_state(v1::JOB_STATE_COMPLETED);
  sender_->Stored(record, {store::EpochEvent(2)});
  EXPECT_EQ(kicks, 1);
}

TEST(NotifyUrlTest, SaysWhatIsWrongWithAUrl) {
  EXPECT_EQ(jobs::NotifyUrlProblem(kUrl), "");
  EXPECT_EQ(jobs::NotifyUrlProblem("http://[2001:db8::1]:8080/x"), "");
  for (const char* const url :
       {"", "example.org", "ftp://example.org", "file:///etc/passwd", "https://", "https:///path",
        "http://:80", "http://a b", "http://\xc3\xa4.org", "HTTP://example.org"}) {
    EXPECT_NE(jobs::NotifyUrlProblem(url), "") << url;
  }
  EXPECT_NE(jobs::NotifyUrlProblem("http://example.org/" + std::string(2000, 'a')), "");
}

}  // namespace
}  // namespace atelier::webhooks
