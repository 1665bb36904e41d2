#include "proto/access/token.h"

#include <set>

#include "gtest/gtest.h"

namespace atelier::access {
namespace {

TEST(TokenTest, HasMoreThan128RandomBits) {
  std::set<std::string> secrets;
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const NewToken token = MakeToken();
    EXPECT_EQ(TokenId(token.text), token.id);
    const std::string secret = token.text.substr(token.text.rfind('_') + 1);
    EXPECT_EQ(secret.size(), 64U) << "hexadecimal digits";
    secrets.insert(secret);
    ids.insert(token.id);
  }
  EXPECT_EQ(secrets.size(), 100U);
  EXPECT_GT(ids.size(), 95U);
}

TEST(TokenTest, TheHashIsSha256AndNotTheToken) {
  EXPECT_EQ(TokenHash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const NewToken token = MakeToken();
  EXPECT_EQ(TokenHash(token.text), token.sha256);
  EXPECT_EQ(token.sha256.find(token.text.substr(20)), std::string::npos);
}

TEST(TokenTest, ComparesWholeHashes) {
  const std::string hash = TokenHash("a");
  EXPECT_TRUE(SameHash(hash, TokenHash("a")));
  EXPECT_FALSE(SameHash(hash, TokenHash("b")));
  EXPECT_FALSE(SameHash(hash, hash.substr(1)));
  for (std::size_t i = 0; i < hash.size(); ++i) {
    std::string other = hash;
    other[i] = other[i] == '0' ? '1' : '0';
    EXPECT_FALSE(SameHash(hash, other)) << i;
  }
}

TEST(TokenTest, OtherTextsAreNoTokens) {
  const std::string text = MakeToken().text;
  for (const std::string& wrong :
       {std::string(), text.substr(1), text.substr(0, text.size() - 1), text + "0", "x" + text,
        std::string("atelier_"), std::string(text.size(), '_')}) {
    EXPECT_FALSE(TokenId(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace atelier::access
