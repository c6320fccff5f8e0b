#include "os/host_facts.h"

#include <sys/statvfs.h>
#include <uv.h>

#include <array>

#include "base/crypto.h"
#include "os/address.h"

namespace dunlin {

namespace {

std::string host_name() {
  std::array<char, UV_MAXHOSTNAMESIZE> name{};
  std::size_t size = name.size();
  if (uv_os_gethostname(name.data(), &size) != 0) return "node";
  return std::string(name.data(), size).substr(0, kMaxNameSize);
}

std::uint32_t core_count() {
  uv_cpu_info_t* cores = nullptr;
  int count = 1;
  if (uv_cpu_info(&cores, &count) == 0) uv_free_cpu_info(cores, count);
  return count > 0 ? static_cast<std::uint32_t>(count) : 1;
}

// The first address of a real network, for a node that listens on all of them.
std::string first_network_address() {
  uv_interface_address_t* interfaces = nullptr;
  int count = 0;
  if (uv_interface_addresses(&interfaces, &count) != 0) return {};
  std::string found;
  for (int i = 0; i < count && found.empty(); ++i) {
    if (interfaces[i].is_internal != 0) continue;
    const SocketAddress address(reinterpret_cast<const sockaddr*>(&interfaces[i].address));
    if (address.family() == AF_INET) found = address.ip();
  }
  uv_free_interface_addresses(interfaces, count);
  return found;
}

Result<std::string> advertised_address(const NodeOptions& options) {
  if (!options.advertise.empty()) return options.advertise;
  Result<HostPort> listen = parse_host_port(options.listen);
  if (!listen) return tl::unexpected(listen.error());
  const auto address = SocketAddress::from_ip(listen->host, listen->port);
  if (!address || !address->is_wildcard()) return options.listen;
  std::string found = first_network_address();
  if (found.empty()) found = "127.0.0.1";
  return found + ":" + std::to_string(listen->port);
}

}  // namespace

Result<NodeFacts> host_facts(const NodeOptions& options) {
  NodeFacts facts;
  facts.name = options.name.empty() ? host_name() : options.name;
  Result<std::string> address = advertised_address(options);
  if (!address) return tl::unexpected(address.error());
  facts.address = *address;
  facts.zone = options.zone;
  facts.labels = options.labels;
  facts.cpus = options.cpus.value_or(core_count());
  facts.memory = options.memory.value_or(uv_get_total_memory());
  facts.gpus = options.gpus;
  for (const auto& [name, total] : options.resources) {
    facts.resources[name] = static_cast<std::uint32_t>(total);
  }
  facts.version = DUNLIN_VERSION;
  struct statvfs space {};
  if (statvfs(options.dir.c_str(), &space) == 0) {
    facts.disk_total = static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize;
  }
  // The id is not known yet; whoever takes the facts over asserts that they are within the limits.
  facts.id = node_id_of(facts.key);
  if (Result<void> fine = validate_facts(facts); !fine) {
    return fail(Code::kUsage, fine.error().message, fine.error().hint);
  }
  return facts;
}

}  // namespace dunlin
