#ifndef ATELIER_TESTS_UNIT_SANITIZERS_H_
#define ATELIER_TESTS_UNIT_SANITIZERS_H_

namespace atelier {

// Whether this build is checked by the address sanitizer, which has an allocator of its own and
// opens files for its checks.
#if defined(__has_feature)
inline constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace atelier

#endif  // ATELIER_TESTS_UNIT_SANITIZERS_H_
