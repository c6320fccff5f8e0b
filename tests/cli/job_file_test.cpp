#include <gtest/gtest.h>

#include <set>

#include "cli/commands.h"
#include "cli/shell.h"

namespace dunlin {
namespace {

using JobFile = Shell;

TEST_F(JobFile, ThatIsNotThereIsNoCommandOfThatName) {
  const Ran ran = run({"submit", "missing.toml"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(ran.err,
            "dunlin: there is no job file missing.toml; give its path as seen from here\n");
  server.on_loop([](FakeNode& node) { EXPECT_TRUE(node.jobs.empty()); });
}

TEST_F(JobFile, SaysAllOfAJob) {
  environment["FROM_HERE"] = "here";
  write_file("work", "#!/bin/sh\n", 0755);
  write_file("sweep.toml",
             "name = 'sweep one'\n"
             "cpus = 4\n"
             "mem = \"2G\"\n"
             "priority = -3\n"
             "time = '1h30m'\n"
             "command = ['./work', '--rate', '{}', 7, true]\n"
             "entries = [0.1, 2.0, '3']\n"
             "limit = 2\n"
             "out = ['*.png', 'b/*']\n"
             "no-ship = false\n"
             "begin = 2040-01-31T14:30:00Z\n"
             "[env]\n"
             "A = 'x y'\n"
             "B = 2\n"
             "[resource]\n"
             "licence = 3\n"
             "[label]\n"
             "disk = 'ssd'\n");
  const JobSpec spec = spec_of(submit({"sweep.toml"}));
  EXPECT_EQ(spec.name, "sweep one");
  EXPECT_EQ(spec.cpus, 4U);
  EXPECT_EQ(spec.memory, 2ULL << 30);
  EXPECT_EQ(spec.priority, -3);
  EXPECT_EQ(spec.time_limit, seconds(5400));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"./work", "--rate", "{}", "7", "true"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"0.1", "2.0", "3"}));
  EXPECT_EQ(spec.limit, 2U);
  EXPECT_EQ(spec.outputs, (std::vector<std::string>{"*.png", "b/*"}));
  EXPECT_EQ(spec.files.at(0).name, "work");
  EXPECT_EQ(to_rfc3339(spec.begin), "2040-01-31T14:30:00.000Z");
  EXPECT_EQ(spec.environment, (std::map<std::string, std::string>{{"A", "x y"}, {"B", "2"}}));
  EXPECT_EQ(spec.devices.resources, (std::map<std::string, std::uint64_t>{{"licence", 3}}));
  EXPECT_EQ(spec.placement.labels, (std::map<std::string, std::string>{{"disk", "ssd"}}));
}

TEST_F(JobFile, ACommandMayBeALineForTheShell) {
  write_file("line.toml", "command = 'tr a b < in | sort'\nentries = [['a', 'b'], [1, 2]]\n");
  const JobSpec spec = spec_of(submit({"line.toml"}));
  EXPECT_EQ(spec.name, "line");
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"sh", "-c", "tr a b < in | sort"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"a 1", "a 2", "b 1", "b 2"}));
  EXPECT_FALSE(spec.append_entry);
  write_file("words.toml", "command = ['hang']\nentries = ['a']\n");
  EXPECT_TRUE(spec_of(submit({"words.toml"})).append_entry);
}

TEST_F(JobFile, WhatIsTypedCountsBeforeWhatIsWritten) {
  write_file("a.toml",
             "name = 'written'\ncommand = ['hang', '{}']\narray = '1-9%3'\nout = ['a']\n"
             "[env]\nA = '1'\nB = '2'\n");
  const JobSpec written = spec_of(submit({"a.toml"}));
  EXPECT_EQ(written.limit, 3U);
  JobSpec spec = spec_of(submit(
      {"-J", "typed", "--limit", "5", "--out", "b", "--env", "B=3", "--env", "C=4", "a.toml"}));
  EXPECT_EQ(spec.name, "typed");
  EXPECT_EQ(spec.limit, 5U);
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{1, 9, 1}}));
  EXPECT_EQ(spec.outputs, (std::vector<std::string>{"b"}));
  EXPECT_EQ(spec.environment,
            (std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}, {"C", "4"}}));
  spec = spec_of(submit({"a.toml", ":::", "x", "y"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(spec.limit, 0U);
}

TEST_F(JobFile, AMistakeIsNamedWithFileLineAndKey) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"command = ['x']\ncpu = 4\n",
       "bad.toml line 2: cpu: there is no such key; did you mean 'cpus'?"},
      {"command = ['x']\n\ncpus = 'four'\n",
       "bad.toml line 3: cpus: expected a whole number, not a text"},
      {"command = ['x']\ncpus = -4\n",
       "bad.toml line 2: cpus: '-4' is not between 1 and 2147483647"},
      {"command = ['x']\nmem = 4\n",
       "bad.toml line 2: mem: expected a size, as in \"4G\", not a whole number"},
      {"command = ['x']\nmem = '4'\n",
       "bad.toml line 2: mem: '4' is a bare number, not a size; write it with a unit, as in 512K, "
       "4G or 1T"},
      {"command = ['x']\nname = 2\n", "bad.toml line 2: name: expected a text, not a whole number"},
      {"command = ['x']\nno-ship = 'yes'\n",
       "bad.toml line 2: no-ship: expected true or false, not a text"},
      {"command = ['x']\nout = [\n'a',\n7]\n",
       "bad.toml line 4: out: expected an array of texts, not a whole number"},
      {"command = ['x']\n[env]\nA = []\n",
       "bad.toml line 3: env: expected a text or a number for each name, not an array"},
      {"command = ['x']\nlabel = 'x'\n",
       "bad.toml line 2: label: 'x' is not of the form NAME=VALUE"},
      {"command = ['x']\narray = '1-x'\n",
       "bad.toml line 2: array: '1-x' is no list of task numbers; write for example 1-1000, 0-9:2 "
       "or 1,4,7-9"},
      {"command = ['x']\nbegin = 'soon'\n",
       "bad.toml line 2: begin: 'soon' is no time; write +1h, 14:30, 2030-01-31, 2030-01-31T14:30 "
       "or 2030-01-31T14:30:00Z"},
      {"command = ['x']\n[resource]\na = 0.5\n",
       "bad.toml line 3: resource: '0.5' is no whole number"},
      {"command = 7\n",
       "bad.toml line 1: command: expected a text for sh -c, or an array of words, not a whole "
       "number"},
      {"command = []\n", "bad.toml line 1: command: the command is empty"},
      {"command = ['x']\nentries = 'a'\n",
       "bad.toml line 2: entries: expected an array of texts, or of arrays of texts, not a text"},
      {"command = ['x']\nentries = [['a'], []]\n",
       "bad.toml line 2: entries: there is no entry in one of the arrays"},
      {"name = 'x'\n",
       "bad.toml: there is no command; add for example command = [\"./work\", \"{}\"]"},
  };
  for (const auto& [text, complaint] : wrong) {
    write_file("bad.toml", text);
    const Ran ran = run({"submit", "bad.toml"});
    EXPECT_EQ(ran.code, 2) << text;
    EXPECT_EQ(ran.err, "dunlin: " + complaint + "\n");
  }
  write_file("bad.toml", "name = 'x'\ncpus = = 4\n");
  const Ran torn = run({"submit", "bad.toml"});
  EXPECT_EQ(torn.code, 2);
  EXPECT_TRUE(torn.err.starts_with("dunlin: bad.toml line 2: ")) << torn.err;
  const Ran late = run({"submit", "bad.toml", "--wait"});
  EXPECT_EQ(late.code, 2);
  EXPECT_NE(late.err.find("options stand before it"), std::string::npos) << late.err;
}

TEST_F(JobFile, WhatIsLookedUpLaterIsNamedByItsLineToo) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"file = ['bad.toml',\n'none']\n", "line 3: file: none: No such file or directory"},
      {"dir = 'none'\n", "line 2: dir: none: No such file or directory"},
      {"stdin = 'none'\n", "line 2: stdin: none: No such file or directory"},
      {"each-line = 'none'\n", "line 2: each-line: none: No such file or directory"},
      {"from-json = 'none'\n", "line 2: from-json: none: No such file or directory"},
      {"each-line = 'binary'\n", "line 2: each-line: binary holds zero bytes: it is no text"},
      {"array = '1-9%3'\nlimit = 2\n",
       "line 3: limit: both --limit and --array ...%LIMIT are given; give one"},
      {"[env]\nA = 1\n", ""},
      {"env = ['A=1',\n'NONE']\n",
       "line 3: env: NONE: there is no such variable here; set it, "
       "or write NONE=VALUE"},
      {"node = [\n'host9']\n", "line 3: node: there is no node 'host9'; see: dunlin nodes"},
      {"\nexclude = 'host9'\n", "line 3: exclude: there is no node 'host9'; see: dunlin nodes"},
      {"after = 'Job'\n",
       "line 2: after: 'Job' names no job; give an id like k3v9x2m4pq, its beginning, or last"},
  };
  write_file("binary", std::string("a\0b\n", 4));
  for (const auto& [text, complaint] : wrong) {
    write_file("bad.toml", "command = ['x']\n" + text);
    const Ran ran = run({"submit", "--dry-run", "bad.toml"});
    EXPECT_EQ(ran.err, complaint.empty() ? "" : "dunlin: bad.toml " + complaint + "\n");
  }
  // Typed, it stands in no file.
  write_file("bad.toml", "command = ['x']\nfile = 'none'\n");
  EXPECT_EQ(run({"submit", "--file", "no", "bad.toml"}).err,
            "dunlin: --file no: No such file or directory\n");
}

// A value for each option, and what it makes of the description that --dry-run shows.
struct Key {
  const char* name;
  const char* value;
  const char* shown;
};
constexpr Key kKeys[] = {
    {"name", "'a b'", R"("name":"a b")"},
    {"cpus", "3", R"("cpus":3)"},
    {"mem", "'1G'", R"("mem":1073741824)"},
    {"gpus", "2", R"("gpus":2)"},
    {"resource", "{ licence = 4 }", R"("resources":{"licence":4})"},
    {"array", "'1-9:2%2'", R"("array":"1-9:2")"},
    {"each-line", "'lines'", R"("entries":["one","two"])"},
    {"from-json", "'values'", R"("entries":["a","{\"b\":1}"])"},
    {"placeholder", "'@'", R"("placeholder":"@")"},
    {"limit", "7", R"("limit":7)"},
    {"priority", "-5", R"("priority":-5)"},
    {"retries", "2", R"("retries":2)"},
    {"backoff", "'10s'", R"("backoff_ms":10000)"},
    {"max-fails", "0", R"("max_fails":0)"},
    {"crash-limit", "5", R"("crash_limit":5)"},
    {"time", "'1m'", R"("time_ms":60000)"},
    {"grace", "'2s'", R"("grace_ms":2000)"},
    {"file", "['lines:l']", R"("files":[{"name":"l")"},
    {"dir", "'d'", R"("files":[{"name":"inner")"},
    {"no-ship", "true", R"("files":[])"},
    {"chdir", "'/data'", R"("chdir":"/data")"},
    {"out", "['*.png']", R"("out":["*.png"])"},
    {"keep", "'1d'", R"("keep_ms":86400000)"},
    {"log-limit", "'1M'", R"("log_limit":1048576)"},
    {"env", "{ A = 'x' }", R"("env":{"A":"x"})"},
    {"env-all", "true", R"("FROM_HERE":"here")"},
    {"stdin", "'lines'", R"("stdin":".dunlin-stdin")"},
    {"zone", "'b'", R"("zone":"b")"},
    {"label", "{ disk = 'ssd' }", R"("labels":{"disk":"ssd"})"},
    {"node", "'n1'", R"("nodes":["00000000000000000000000004"])"},
    {"exclude", "['n1']", R"("exclude":["00000000000000000000000004"])"},
    {"after", "['last']", R"("any":false}])"},
    {"afterany", "['last']", R"("any":true}])"},
    {"begin", "2040-01-31T00:00:00Z", R"("begin":"2040-01-31T00:00:00.000Z")"},
};
// What says how, and not what, is submitted: it cannot be seen in the description.
const std::set<std::string> kUnseen = {"key", "dry-run", "wait", "follow"};

TEST_F(JobFile, EveryOptionHasAKeyThatWorks) {
  environment["FROM_HERE"] = "here";
  write_file("lines", "one\ntwo\n");
  write_file("values", R"(["a", {"b": 1}])");
  mkdir((files / "d").c_str(), 0755);
  write_file("d/inner", "x");
  server.on_loop([](FakeNode& node) { node.members = {fake_member(1, "n1")}; });
  submit({"hang"});  // what `last` means
  std::set<std::string> seen;
  for (const Key& key : kKeys) {
    seen.insert(key.name);
    ASSERT_NE(find_option(submit_options(), key.name), nullptr) << key.name;
    write_file("key.toml", std::string("command = ['hang', '@']\ndry-run = true\n") + key.name +
                               " = " + key.value + "\n");
    const Ran ran = run({"submit", "--json", "key.toml"});
    EXPECT_EQ(ran.code, 0) << key.name << ": " << ran.err;
    EXPECT_NE(ran.out.find(key.shown), std::string::npos) << key.name << ": " << ran.out;
  }
  for (const Option& option : submit_options()) {
    EXPECT_TRUE(option.available) << option.name;
    EXPECT_TRUE(seen.contains(option.name) != kUnseen.contains(option.name)) << option.name;
  }
}

TEST_F(JobFile, TheOtherKeysWorkToo) {
  write_file("a.toml", "command = ['false']\nwait = true\n");
  EXPECT_EQ(run({"submit", "a.toml"}).code, 1);
  write_file("a.toml", "command = ['echo', 'hi']\nfollow = true\n");
  EXPECT_EQ(run({"submit", "a.toml"}).out, "hi\n");
  write_file("a.toml", "command = ['hang']\nkey = 'k'\n");
  EXPECT_EQ(submit({"a.toml"}), submit({"a.toml"}));
}

}  // namespace
}  // namespace dunlin
