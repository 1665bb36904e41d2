// Told when a thread is about to answer the requests of a batch one after the other: the seam
// between serving and what carries the answers, which can let them leave together.
#ifndef ATELIER_SERVER_SERVING_ANSWER_BATCHES_H_
#define ATELIER_SERVER_SERVING_ANSWER_BATCHES_H_

namespace atelier::serving {

// Thread-safe; never waits.
class AnswerBatches {
 public:
  virtual ~AnswerBatches() = default;
  // Both on the thread that answers, before the first answer and after the last.
  virtual void Begin() = 0;
  virtual void End() = 0;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_ANSWER_BATCHES_H_
