// What a node listens at, taken before it commits itself to anything: a port of this host for both
// TCP and UDP, and the API's path. Bound by hand, since libuv reports a port in use only later.
#pragma once

#include <string>

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

// For TCP alone.
Result<FileDescriptor> bind_tcp_socket(const SocketAddress& address);

// "cannot listen on ADDRESS (KIND): ..."
tl::unexpected<Error> cannot_listen(const SocketAddress& address, const char* kind,
                                    int error_number);

// A Unix socket at this path, with this mode from the first moment on; nobody is let in before
// listen(). The last folder of the path is made (0755) if it is not there. kConflict when another
// process answers there; a dead process's socket is replaced.
Result<FileDescriptor> bind_local_socket(const std::string& path, unsigned mode);

}  // namespace dunlin
