#include <gtest/gtest.h>

#include "cli/shell.h"
#include "os/json_writer.h"
#include "os/node_process.h"

namespace dunlin {

// Stands in for the node: says what it was told.
int run_node(const NodeOptions& options) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("dir", options.dir);
  out.field("socket", options.socket);
  out.field("mode", options.socket_mode);
  out.field("listen", options.listen);
  out.field("advertise", options.advertise);
  out.key("join");
  out.begin_array();
  for (const std::string& address : options.join) out.value(address);
  out.end_array();
  out.field("token", options.token);
  out.field("name", options.name);
  out.field("zone", options.zone);
  out.key("labels");
  out.begin_object();
  for (const auto& [name, value] : options.labels) out.field(name, value);
  out.end_object();
  out.field("cpus", options.cpus);
  out.field("mem", options.memory);
  out.field("gpus", options.gpus);
  out.key("resources");
  out.begin_object();
  for (const auto& [name, count] : options.resources) out.field(name, count);
  out.end_object();
  out.field("groups", options.groups);
  out.field("run_as", options.run_as);
  out.field("reset", options.reset);
  out.end_object();
  return write(1, text.data(), text.size()) < 0 ? 43 : 42;
}

namespace {

using UpCommand = Shell;

TEST_F(UpCommand, PassesItsOptionsOn) {
  write_file("token", "secret\n");
  const Ran ran = run({"up",          "--dir",  "d",        "--listen",   "127.0.0.1:7000",
                       "--advertise", "host:7", "--join",   "a:1,b:2",    "--token-file",
                       "token",       "--name", "n1",       "--zone",     "z",
                       "--label",     "a=b",    "--cpus",   "0",          "--mem",
                       "2G",          "--gpus", "1",        "--resource", "lic=3",
                       "--groups",    "16",     "--run-as", "nobody",     "--reset"});
  EXPECT_EQ(ran.code, 42) << ran.err;
  EXPECT_EQ(ran.out, "{\"dir\":\"" + (files / "d") + "\",\"socket\":\"" + (files / "d/api.sock") +
                         "\",\"mode\":384,\"listen\":\"127.0.0.1:7000\",\"advertise\":\"host:7\","
                         "\"join\":[\"a:1\",\"b:2\"],\"token\":\"secret\",\"name\":\"n1\","
                         "\"zone\":\"z\",\"labels\":{\"a\":\"b\"},\"cpus\":0,\"mem\":2147483648,"
                         "\"gpus\":1,\"resources\":{\"lic\":3},\"groups\":16,"
                         "\"run_as\":\"nobody\",\"reset\":true}");
}

TEST_F(UpCommand, HasTheDefaultsOfTheContract) {
  const Ran ran = run({"up"});
  const bool is_root = geteuid() == 0;
  const std::string dir = is_root ? "/var/lib/dunlin" : files / ".dunlin";
  const std::string socket = is_root ? "/run/dunlin/api.sock" : files / ".dunlin/api.sock";
  EXPECT_NE(ran.out.find("\"dir\":\"" + dir + "\",\"socket\":\"" + socket + "\""),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("\"listen\":\"0.0.0.0:7400\""), std::string::npos);
  EXPECT_NE(ran.out.find("\"cpus\":null,\"mem\":null"), std::string::npos);
}

TEST_F(UpCommand, RefusesWhatMakesNoSense) {
  write_file("empty", "\n");
  const std::vector<std::vector<std::string>> wrong = {
      {"--listen", "7400"},
      {"--listen", "a:99999"},
      {"--join", "host"},
      {"--token", "t"},
      {"--join", "a:1", "--token", "t", "--token-file", "f"},
      {"--groups", "0"},
      {"--groups", "513"},
      {"--label", "x"},
      {"--resource", "a=b"},
      {"--mem", "4"},
      {"--name", "bad name!"},
      {"--name", std::string(65, 'n')},
      {"--join", "a:1", "--token-file", "absent"},
      {"--join", "a:1", "--token-file", "empty"},
      {"--http", "localhost:80"},
      {"--http", "10.0.0.5:80"},
      {"--http-plain"},
      {"extra"},
  };
  for (const std::vector<std::string>& more : wrong) {
    std::vector<std::string> args = {"up"};
    args.insert(args.end(), more.begin(), more.end());
    const Ran ran = run(args);
    EXPECT_EQ(ran.code, 2) << more[0] << " " << ran.out << ran.err;
  }
}

TEST_F(UpCommand, PrintsAUnitForItsOptions) {
  // The token's file is read even so: a wrong name is found out now.
  EXPECT_EQ(run({"up", "--unit", "--join", "x:1", "--token-file", "absent"}).code, 2);
  write_file("t", "secret");
  const Ran unit = run({"up", "--unit", "--zone", "a b%c", "--join", "x:1", "--token-file", "t"});
  EXPECT_EQ(unit.code, 0);
  EXPECT_NE(unit.out.find(" up --join x:1 --token-file " + (files / "t") + " --zone \"a b%%c\"\n"),
            std::string::npos)
      << unit.out;
  // What was stopped on purpose stays so; what may pass is tried for ever.
  EXPECT_NE(unit.out.find("\nRestart=on-failure\nRestartPreventExitStatus=2 5\n"),
            std::string::npos);
  EXPECT_NE(unit.out.find("\nStartLimitIntervalSec=0\n"), std::string::npos);
  // Started again and again, it must not begin anew each time.
  EXPECT_EQ(run({"up", "--unit", "--reset"}).out.find("--reset"), std::string::npos);
}

}  // namespace
}  // namespace dunlin
