#include <unistd.h>

#include <limits>

#include "base/token.h"
#include "cli/commands.h"
#include "cli/directories.h"
#include "cli/servers.h"
#include "cli/units.h"
#include "cli/up_options.h"
#include "os/address.h"
#include "os/node_process.h"

namespace dunlin {

const OptionTable& up_options() {
  static const OptionTable table = {
      {"dir", 0, "DIR", Takes::kText, "the node's data (~/.dunlin; root: /var/lib/dunlin)"},
      {"listen", 0, "IP:PORT", Takes::kText, "TCP and UDP (0.0.0.0:7400)"},
      {"advertise", 0, "HOST:PORT", Takes::kText, "where others reach this node"},
      {"http", 0, "IP:PORT", Takes::kText, "the API as plain HTTP, for bearers of users' tokens"},
      {"http-plain", 0, nullptr, Takes::kNothing,
       "even off loopback, where the network may listen"},
      {"join", 0, "HOST:PORT[,...]", Takes::kText, "nodes of the cluster to join", true},
      {"token", 0, "T", Takes::kText, "that lets this node in"},
      {"token-file", 0, "FILE", Takes::kText, "the same, in a file"},
      {"name", 0, "N", Takes::kText, "unique in the cluster (the host's name)"},
      {"zone", 0, "Z", Takes::kText, "replicas are spread over zones"},
      {"label", 0, "K=V", Takes::kPair, "something that jobs may ask for", true},
      {"cpus", 0, "N", Takes::kCount, "cores for tasks; 0: run none (all)"},
      {"mem", 0, "SIZE", Takes::kSize, "memory for tasks (all)"},
      {"gpus", 0, "N", Takes::kCount, "gpus for tasks (0)"},
      {"resource", 0, "NAME=N", Takes::kPair, "something to be counted", true},
      {"groups", 0, "P", Takes::kCount, "consensus groups of a new cluster (256)"},
      {"run-as", 0, "USER", Takes::kText, "the account of tasks"},
      {"unit", 0, nullptr, Takes::kNothing, "print a systemd unit for these options, and end"},
      {"reset", 0, nullptr, Takes::kNothing, "set aside what DIR holds; come as a new node"},
      {"keep-tasks", 0, nullptr, Takes::kNothing,
       "at SIGTERM tasks wait for the next process, a minute at most"},
  };
  return table;
}

namespace {

Result<void> check_address(const std::string& option, const std::string& text) {
  const Result<HostPort> place = parse_host_port(text);
  if (place && place->port != 0) return {};
  return fail(Code::kUsage, option + " '" + text + "' is no HOST:PORT", "as in 10.0.0.5:7400");
}

// It stands in tables, in environments and on command lines.
Result<void> check_name(const std::string& name) {
  constexpr std::string_view kTaken =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  constexpr std::size_t kLongest = 64;
  if (name.size() <= kLongest && name.find_first_not_of(kTaken) == std::string::npos) return {};
  const bool is_long = name.size() > kLongest;
  const std::string shown = name.substr(0, kLongest) + (is_long ? "..." : "");
  return fail(Code::kUsage, "--name '" + shown + "' is no name of a node",
              "take letters, digits, '.', '-' and '_', at most 64");
}

Result<void> take_join(const Arguments& args, NodeOptions& options) {
  for (const std::string& list : args.all("join")) {
    for (const std::string& address : parts_by_comma(list)) {
      if (Result<void> fine = check_address("--join", address); !fine) return fine;
      options.join.push_back(address);
    }
  }
  if (args.has("token") && args.has("token-file")) {
    return fail(Code::kUsage, "--token and --token-file exclude each other", "give one");
  }
  options.token = args.text("token");
  if (args.has("token-file")) {
    auto token = read_token(args.text("token-file"));
    if (!token) return fail(token.error().code, "--token-file " + token.error().message);
    options.token = std::move(*token);
  }
  if (!options.token.empty() && options.join.empty()) {
    return fail(Code::kUsage, "a token is given, but no node to join",
                "add --join HOST:PORT of a node of the cluster");
  }
  if (options.token.empty()) return {};
  const Result<JoinToken> token = JoinToken::parse(options.token);
  return token ? Result<void>() : tl::unexpected(token.error());
}

Result<void> take_http(const Arguments& args, NodeOptions& options) {
  options.http = args.text("http");
  if (options.http.empty()) {
    if (!args.has("http-plain")) return {};
    return fail(Code::kUsage, "--http-plain without --http", "add --http IP:PORT");
  }
  const Result<HostPort> place = parse_host_port(options.http);
  const auto address =
      place ? SocketAddress::from_ip(place->host, place->port) : std::optional<SocketAddress>();
  if (!address) {
    return fail(Code::kUsage, "--http '" + options.http + "' is no IP:PORT",
                "as in 127.0.0.1:7480");
  }
  if (address->is_loopback() || args.has("http-plain")) return {};
  return fail(Code::kUsage,
              "--http " + options.http + " is not on loopback, and its traffic is not encrypted",
              "add --http-plain if the network may read along, tokens and all");
}

Result<void> take_host(const Arguments& args, NodeOptions& options) {
  for (const std::string& label : args.all("label")) {
    const auto pair = pair_from(label);
    if (pair) options.labels.insert_or_assign(pair->first, pair->second);
  }
  for (const std::string& resource : args.all("resource")) {
    const auto pair = pair_from(resource);
    const auto count = number_from(pair->second, 0, std::numeric_limits<std::int32_t>::max());
    if (!count) return fail(Code::kUsage, "--resource " + resource + ": " + count.error().message);
    options.resources[pair->first] = static_cast<std::uint64_t>(*count);
  }
  if (args.has("cpus")) options.cpus = static_cast<std::uint32_t>(args.number("cpus", 0));
  if (args.has("mem")) options.memory = args.size("mem", 0);
  options.gpus = static_cast<std::uint32_t>(args.number("gpus", 0));
  if (args.has("groups")) {
    const std::int64_t groups = args.number("groups", 256);
    if (groups < 1 || groups > kMaxGroups) {
      return fail(Code::kUsage, "--groups " + args.text("groups") + " is not between 1 and " +
                                    std::to_string(kMaxGroups));
    }
    options.groups = static_cast<std::uint16_t>(groups);
  }
  options.name = args.text("name");
  if (Result<void> fine = check_name(options.name); !fine) return fine;
  options.zone = args.text("zone");
  options.run_as = args.text("run-as");
  return {};
}

}  // namespace

Result<NodeOptions> node_options_from(const Arguments& args) {
  NodeOptions options;
  const bool is_root = geteuid() == 0;
  const bool has_dir = args.has("dir");
  const std::string usual = is_root ? "/var/lib/dunlin" : home_directory() + "/.dunlin";
  options.dir = has_dir ? absolute_path(args.text("dir")) : usual;
  options.socket = options.dir + "/api.sock";
  options.reset = args.has("reset");
  options.keep_tasks = args.has("keep-tasks");
  if (!has_dir && is_root) {
    // Everybody on the host may submit to the host's own node.
    options.socket = "/run/dunlin/api.sock";
    options.socket_mode = 0666;
  }
  if (args.has("listen")) options.listen = args.text("listen");
  if (const Result<void> fine = check_address("--listen", options.listen); !fine) {
    return tl::unexpected(fine.error());
  }
  options.advertise = args.text("advertise");
  if (!options.advertise.empty()) {
    const Result<void> fine = check_address("--advertise", options.advertise);
    if (!fine) return tl::unexpected(fine.error());
  }
  if (const Result<void> fine = take_http(args, options); !fine) {
    return tl::unexpected(fine.error());
  }
  if (const Result<void> fine = take_join(args, options); !fine) {
    return tl::unexpected(fine.error());
  }
  if (const Result<void> fine = take_host(args, options); !fine) {
    return tl::unexpected(fine.error());
  }
  return options;
}

int run_up(Invocation& call) {
  const auto options = node_options_from(call.args);
  if (!options) return call.failed(options.error());
  return call.args.has("unit") ? print_unit(call, *options) : run_node(*options);
}

}  // namespace dunlin
