// Names that only the server gives, in the place of words of the corpus: `jobs/made`,
// `experiments/made` and `uploads/made` are what was made last, `page` is the last token of a page,
// and a worker of job `made` with token `made` is one of the last job's first attempt.
#ifndef ATELIER_TESTS_FUZZ_KNOWN_NAMES_H_
#define ATELIER_TESTS_FUZZ_KNOWN_NAMES_H_

#include <functional>
#include <map>
#include <string>

#include "google/protobuf/message.h"

namespace atelier::fuzz {

class KnownNames {
 public:
  // `token_of` answers with the token of a job's attempt.
  explicit KnownNames(std::function<std::string(const std::string& job)> token_of)
      : token_of_(std::move(token_of)) {}

  void Learn(const google::protobuf::Message& answer);
  // Puts them in; and in the place of URLs one that nobody is asked by.
  void PutInto(google::protobuf::Message* request) const;

 private:
  std::string Replacement(const google::protobuf::FieldDescriptor& field,
                          const std::string& text) const;

  const std::function<std::string(const std::string& job)> token_of_;
  std::map<std::string, std::string> made_;  // By the word.
};

}  // namespace atelier::fuzz

#endif  // ATELIER_TESTS_FUZZ_KNOWN_NAMES_H_
