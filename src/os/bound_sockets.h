// A port of this host taken for both TCP and UDP: bound by hand, since libuv reports a port in use
// only later, and before a node commits itself to anything.
#pragma once

#include "base/result.h"
#include "os/address.h"
#include "os/file_descriptor.h"

namespace dunlin {

struct BoundSockets {
  SocketAddress address;
  FileDescriptor tcp;  // not listening yet
  FileDescriptor udp;
};

// Port 0 takes any that is free for both. kFailed, with what to do about it.
Result<BoundSockets> bind_sockets(const SocketAddress& address);

// "cannot listen on ADDRESS (KIND): ..."
tl::unexpected<Error> cannot_listen(const SocketAddress& address, const char* kind,
                                    int error_number);

}  // namespace dunlin
