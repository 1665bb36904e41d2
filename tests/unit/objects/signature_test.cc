#include "server/objects/signature.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "server/objects/digest.h"

namespace atelier::objects {
namespace {

// "Signature Calculations for the Authorization Header", Amazon S3 API Reference: the examples.
constexpr char kSecret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const Scope kScope = {.time = absl::FromUnixSeconds(1369353600), .region = "us-east-1"};

SignedRequest Example(const std::string& path) {
  SignedRequest request;
  request.path = path;
  request.payload_sha256 = absl::BytesToHexString(Sha256(""));
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"},
                     {"x-amz-content-sha256", request.payload_sha256},
                     {"x-amz-date", "20130524T000000Z"}};
  return request;
}

TEST(SignatureTest, SignsTheDocumentedGetOfARange) {
  SignedRequest request = Example("/test.txt");
  request.headers["range"] = "bytes=0-9";
  EXPECT_EQ(SignatureOf(request, kScope, kSecret),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SignatureTest, SignsTheDocumentedPut) {
  SignedRequest request = Example("/test$file.text");
  request.method = "PUT";
  request.payload_sha256 = absl::BytesToHexString(Sha256("Welcome to Amazon S3."));
  request.headers["x-amz-content-sha256"] = request.payload_sha256;
  request.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  request.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  EXPECT_EQ(SignatureOf(request, kScope, kSecret),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SignatureTest, SignsTheDocumentedGetOfTheLifecycle) {
  SignedRequest request = Example("/");
  request.query = {{"lifecycle", ""}};
  EXPECT_EQ(SignatureOf(request, kScope, kSecret),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SignatureTest, SignsTheDocumentedListOfObjects) {
  SignedRequest request = Example("/");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(SignatureOf(request, kScope, kSecret),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SignatureTest, AuthorizationNamesKeyScopeAndSignedHeaders) {
  SignedRequest request = Example("/test.txt");
  request.headers["range"] = "bytes=0-9";
  EXPECT_EQ(AuthorizationOf(request, kScope, {"AKIAIOSFODNN7EXAMPLE", kSecret, ""}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

// The Signature Version 4 test suite of AWS: its vectors of another service.
constexpr char kSuiteSecret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const Scope kSuite = {
    .time = absl::FromUnixSeconds(1440938160), .region = "us-east-1", .service = "service"};

SignedRequest SuiteRequest() {
  SignedRequest request;
  request.payload_sha256 = absl::BytesToHexString(Sha256(""));
  request.headers = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
  return request;
}

TEST(SignatureTest, SignsGetVanillaOfTheSuite) {
  EXPECT_EQ(SignatureOf(SuiteRequest(), kSuite, kSuiteSecret),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SignatureTest, SignsGetVanillaQueryOrderKeyCaseOfTheSuite) {
  SignedRequest request = SuiteRequest();
  request.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  EXPECT_EQ(SignatureOf(request, kSuite, kSuiteSecret),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(SignatureTest, SignsPostVanillaOfTheSuite) {
  SignedRequest request = SuiteRequest();
  request.method = "POST";
  EXPECT_EQ(SignatureOf(request, kSuite, kSuiteSecret),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(SignatureTest, EncodesAllButTheUnreserved) {
  EXPECT_EQ(UriEncode("a b+c=d&e@f%g/~ü", true), "a%20b%2Bc%3Dd%26e%40f%25g/~%C3%BC");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
}

TEST(SignatureTest, QueryIsSortedAsItIsEncoded) {
  EXPECT_EQ(CanonicalQuery({{"uploads", ""}, {"b", "ü"}, {"a+", "1"}, {"a-", "2"}}),
            "a%2B=1&a-=2&b=%C3%BC&uploads=");
}

}  // namespace
}  // namespace atelier::objects
