#include "server/webhooks/address_rules.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

namespace atelier::webhooks {
namespace {

struct Block {
  std::uint32_t first;
  int bits;
};

// Reserved in IPv4 (RFC 6890 and its successors).
constexpr Block kReserved[] = {
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared by a provider's customers
    {0x7F000000, 8},   // this machine
    {0xA9FE0000, 16},  // link-local, clouds' metadata among it
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // IETF's protocols
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // 6to4 relays
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarks
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 3},   // groups, reserved, broadcast
};

bool IsPublic4(std::uint32_t address) {
  for (const Block& block : kReserved) {
    if ((address ^ block.first) >> (32 - block.bits) == 0) return false;
  }
  return true;
}

std::uint32_t Word(const std::uint8_t* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return ntohl(word);
}

bool IsPublic6(const std::uint8_t* bytes) {
  const std::uint32_t head = Word(bytes);
  // IPv4 within IPv6: mapped (::ffff:0:0/96) and translated (64:ff9b::/96).
  const bool mapped = head == 0 && Word(bytes + 4) == 0 && Word(bytes + 8) == 0xFFFF;
  const bool translated = head == 0x0064FF9B && Word(bytes + 4) == 0 && Word(bytes + 8) == 0;
  if (mapped || translated) return IsPublic4(Word(bytes + 12));
  if (head >> 16 == 0x2002) return IsPublic4(head << 16 | Word(bytes + 4) >> 16);  // 6to4
  if (head >> 9 == 0x20010000u >> 9) return false;  // IETF's protocols, tunnels
  if (head == 0x20010DB8) return false;             // documentation
  return head >> 29 == 1;                           // 2000::/3 is what is routed
}

}  // namespace

bool IsPublic(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return IsPublic4(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    return IsPublic6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr);
  }
  return false;
}

}  // namespace atelier::webhooks
