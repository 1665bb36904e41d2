// Which addresses of the network a server may post to that anybody can make post somewhere.
// Thread-safe: a pure function.
#ifndef ATELIER_SERVER_WEBHOOKS_ADDRESS_RULES_H_
#define ATELIER_SERVER_WEBHOOKS_ADDRESS_RULES_H_

struct sockaddr;

namespace atelier::webhooks {

// True for addresses of the public internet; false for those of this machine, of private and local
// networks, for groups, and for everything else that is reserved (IANA's special-purpose address
// registries), also where IPv6 wraps them. False for other families.
bool IsPublic(const sockaddr& address);

}  // namespace atelier::webhooks

#endif  // ATELIER_SERVER_WEBHOOKS_ADDRESS_RULES_H_
