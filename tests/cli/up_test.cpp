#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/token.h"
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

const std::string kToken = JoinToken{}.text();

TEST_F(UpCommand, PassesItsOptionsOn) {
  write_file("token", kToken + "\n");
  const Ran ran = run({"up",          "--dir",  "d",        "--listen",   "127.0.0.1:7000",
                       "--advertise", "host:7", "--join",   "a:1,b:2",    "--token-file",
                       "token",       "--name", "n1",       "--zone",     "z",
                       "--label",     "a=b",    "--cpus",   "0",          "--mem",
                       "2G",          "--gpus", "1",        "--resource", "lic=3",
                       "--groups",    "16",     "--run-as", "nobody",     "--reset"});
  EXPECT_EQ(ran.code, 42) << ran.err;
  EXPECT_EQ(ran.out, "{\"dir\":\"" + (files / "d") + "\",\"socket\":\"" + (files / "d/api.sock") +
                         "\",\"mode\":384,\"listen\":\"127.0.0.1:7000\",\"advertise\":\"host:7\","
                         "\"join\":[\"a:1\",\"b:2\"],\"token\":\"" +
                         kToken +
                         "\",\"name\":\"n1\","
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
      {"--join", "a:1", "--token", "nonsense"},
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

// The words of the unit's command line, as systemd takes them apart (systemd.syntax(7)).
std::vector<std::string> words_of_unit(const std::string& unit) {
  const std::string key = "\nExecStart=";
  const std::size_t begin = unit.find(key);
  if (begin == std::string::npos) return {};
  const std::string line =
      unit.substr(begin + key.size(), unit.find('\n', begin + 1) - begin - key.size());
  std::vector<std::string> words(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string& word = words.back();
    if (line[i] == '"') {
      is_quoted = !is_quoted;
    } else if (line[i] == ' ' && !is_quoted) {
      words.emplace_back();
    } else if (line[i] == '\\' && line[i + 1] == 'x') {
      word += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
      i += 3;
    } else if (line[i] == '\\' || line[i] == '%' || (line[i] == '$' && words.size() > 1)) {
      EXPECT_TRUE(line[i] == '\\' || line[i + 1] == line[i]) << line;
      word += line[++i];
    } else {
      word += line[i];
    }
  }
  return words;
}

TEST_F(UpCommand, PrintsAUnitForItsOptions) {
  // The token's file is read even so: a wrong name is found out now.
  EXPECT_EQ(run({"up", "--unit", "--join", "x:1", "--token-file", "absent"}).code, 2);
  write_file("t", kToken);
  const std::string odd = "a b%c$d\"e\\f;\x01\xff";
  const Ran unit = run({"up", "--unit", "--dir", "d", "--zone", odd, "--join", "x:1",
                        "--token-file", "t", "--label", "k=ä ö", "--keep-tasks"});
  EXPECT_EQ(unit.code, 0);
  std::vector<std::string> words = words_of_unit(unit.out);
  ASSERT_GT(words.size(), 1U);
  EXPECT_EQ(words[0].front(), '/');
  words.erase(words.begin());
  EXPECT_EQ(words, (std::vector<std::string>{"up", "--dir", files / "d", "--join", "x:1", "--zone",
                                             odd, "--label", "k=ä ö", "--keep-tasks",
                                             "--token-file", files / "t"}));
  // What was stopped on purpose stays so; what may pass is tried for ever.
  EXPECT_NE(unit.out.find("\nRestart=on-failure\nRestartPreventExitStatus=2 5\n"),
            std::string::npos);
  EXPECT_NE(unit.out.find("\nStartLimitIntervalSec=0\n"), std::string::npos);
  EXPECT_NE(unit.out.find("\nKillMode=process\n"), std::string::npos);
  EXPECT_NE(unit.out.find("\nOOMPolicy=continue\n"), std::string::npos);
  // Started again and again, it must not begin anew each time.
  EXPECT_EQ(run({"up", "--unit", "--reset"}).out.find("--reset"), std::string::npos);
}

TEST_F(UpCommand, PrintsNoTokenIntoAUnit) {
  for (const bool is_stdin : {false, true}) {
    const std::string dir = is_stdin ? "a" : "b";
    std::vector<std::string> args = {"up", "--unit", "--dir", dir, "--join", "x:1"};
    if (is_stdin) {
      args.insert(args.end(), {"--token-file", "-"});
    } else {
      args.insert(args.end(), {"--token", kToken});
    }
    const Ran unit = run(args, kToken + "\n");
    EXPECT_EQ(unit.code, 0) << unit.err;
    EXPECT_EQ(unit.out.find(kToken), std::string::npos);
    EXPECT_NE(unit.out.find(" --token-file " + (files / dir) + "/unit-token\n"), std::string::npos)
        << unit.out;
    EXPECT_NE(unit.err.find((files / dir) + "/unit-token"), std::string::npos);
    std::ifstream kept(files / (dir + "/unit-token"));
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(kept), {}), kToken + "\n");
    struct stat about {};
    ASSERT_EQ(stat((files / (dir + "/unit-token")).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U);
  }
}

}  // namespace
}  // namespace dunlin
