#ifndef ATELIER_TESTS_UNIT_SANITIZERS_H_
#define ATELIER_TESTS_UNIT_SANITIZERS_H_

namespace atelier {

// Whether this build is checked by the address sanitizer, which has an allocator of its own and
// opens files for its checks.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATELIER_ADDRESS_SANITIZER
#endif
#endif

#if defined(ATELIER_ADDRESS_SANITIZER)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace atelier

#endif  // ATELIER_TESTS_UNIT_SANITIZERS_H_
