#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cli/entries.h"
#include "cli/shell.h"
#include "os/json.h"

namespace dunlin {
namespace {

using Submit = Shell;

std::size_t line_count(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(Submit, PrintsTheIdAndTheSpecArrives) {
  environment["FROM_HERE"] = "here";
  const std::string id =
      submit({"-J",        "nightly",   "-c",        "4",     "--mem",  "2G",  "-p",      "7",
              "--retries", "3",         "--backoff", "10s",   "--time", "1h",  "--grace", "5s",
              "--limit",   "9",         "--out",     "*.png", "--out",  "b/*", "--env",   "A=1",
              "--env",     "FROM_HERE", "--",        "hang",  "-c",     "x"});
  const JobSpec spec = spec_of(id);
  EXPECT_EQ(spec.name, "nightly");
  EXPECT_EQ(spec.cpus, 4U);
  EXPECT_EQ(spec.memory, 2ULL << 30);
  EXPECT_EQ(spec.priority, 7);
  EXPECT_EQ(spec.retries, 3U);
  EXPECT_EQ(spec.backoff, seconds(10));
  EXPECT_EQ(spec.time_limit, seconds(3600));
  EXPECT_EQ(spec.grace, seconds(5));
  EXPECT_EQ(spec.limit, 9U);
  EXPECT_EQ(spec.outputs, (std::vector<std::string>{"*.png", "b/*"}));
  EXPECT_EQ(spec.environment,
            (std::map<std::string, std::string>{{"A", "1"}, {"FROM_HERE", "here"}}));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"hang", "-c", "x"}));
  EXPECT_FALSE(spec.many);
  EXPECT_FALSE(spec.attended);
  EXPECT_EQ(run({"submit", "--env", "NOT_THERE_AT_ALL", "true"}).code, 2);
}

TEST_F(Submit, ArraysMakeManyTasks) {
  const JobSpec spec = spec_of(submit({"--array", "0-9:2,20%3", "hang", "{}"}));
  EXPECT_TRUE(spec.many);
  EXPECT_EQ(spec.limit, 3U);
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{0, 8, 2}, {20, 20, 1}}));
  EXPECT_EQ(run({"submit", "--array", "1-3%0", "true"}).code, 2);
  EXPECT_EQ(run({"submit", "--array", "1-99999999", "true"}).code, 5);
}

TEST_F(Submit, WordsAfterThreeColonsAreEntries) {
  JobSpec spec = spec_of(submit({"hang", "-v", ":::", "a", "b c"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"a", "b c"}));
  EXPECT_TRUE(spec.append_entry);
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{1, 2, 1}}));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"hang", "-v"}));

  spec = spec_of(submit({"hang", "{/.}.x", ":::", "a", "b", ":::", "1", "2"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"a 1", "a 2", "b 1", "b 2"}));
  EXPECT_FALSE(spec.append_entry);

  spec = spec_of(submit({"-I", "@", "hang", "x@", ":::", "a"}));
  EXPECT_EQ(spec.placeholder, "@");
  EXPECT_FALSE(spec.append_entry);
}

TEST_F(Submit, EachLineOfAFileIsAnEntry) {
  write_file("few", "one\ntwo\n\nlast without end");
  JobSpec spec = spec_of(submit({"--each-line", "few", "hang", "{}"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"one", "two", "", "last without end"}));
  EXPECT_FALSE(spec.append_entry);

  spec = spec_of(run({"submit", "--each-line", "-", "hang"}, "x\ny\n").out.substr(0, 10));
  EXPECT_EQ(spec.entries.size(), 2U);
  write_file("nothing", "");
  EXPECT_EQ(run({"submit", "--each-line", "nothing", "true"}).code, 2);
  EXPECT_EQ(run({"submit", "--each-line", "absent", "true"}).code, 4);
  write_file("zero", std::string("a\0b\n", 4));
  EXPECT_EQ(run({"submit", "--each-line", "zero", "true"}).code, 2);
}

TEST_F(Submit, AnEntryThatNoCommandCanTakeIsRefused) {
  write_file("long", "short\n" + std::string(kMaxEntryBytes + 1, 'x') + "\n");
  const Ran ran = run({"submit", "--each-line", "long", "true"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_TRUE(ran.err.starts_with("dunlin: entry 2 has 131009 bytes, and a command takes no"))
      << ran.err;
  write_file("long", std::string(kMaxEntryBytes, 'x') + "\n");
  (void)submit({"--each-line", "long", "true"});
}

TEST_F(Submit, ManyEntriesTravelAsBlobsOfWholeLines) {
  std::string many;
  for (int i = 0; i < 200'000; ++i) many += "line " + std::to_string(i) + "\n";
  write_file("many", many);
  const JobSpec spec = spec_of(submit({"--each-line", "many", "queue", "{}"}));
  EXPECT_TRUE(spec.entries.empty());
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{1, 200'000, 1}}));
  EXPECT_GT(spec.entry_blocks.size(), 1U);
  std::string back;
  for (const EntryBlock& block : spec.entry_blocks) {
    const std::string content = blob(block.blob);
    EXPECT_LE(content.size(), 1024U * 1024);
    EXPECT_TRUE(content.ends_with('\n'));
    EXPECT_EQ(line_count(content), block.count);
    back += content;
  }
  EXPECT_EQ(back, many);
}

TEST_F(Submit, FilesAreShippedInPiecesWithTheirModes) {
  std::string big(2 * 1024 * 1024 + 77, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + (i >> 12));
  write_file("big", big, 0640);
  write_file("empty", "");
  const JobSpec spec = spec_of(submit({"--file", "big:data/in", "--file", "empty", "hang"}));
  ASSERT_EQ(spec.files.size(), 2U);
  EXPECT_EQ(spec.files[0].name, "data/in");
  EXPECT_EQ(spec.files[0].mode, 0640U);
  EXPECT_EQ(spec.files[0].size, big.size());
  ASSERT_EQ(spec.files[0].content.size(), 3U);
  std::string back;
  for (const BlobRef& piece : spec.files[0].content) back += blob(piece);
  EXPECT_EQ(back, big);
  EXPECT_EQ(spec.files[1].name, "empty");
  EXPECT_TRUE(spec.files[1].content.empty());
  EXPECT_EQ(run({"submit", "--file", "absent", "true"}).code, 4);
  EXPECT_EQ(run({"submit", "--file", "big:../x", "true"}).code, 2);
  EXPECT_EQ(run({"submit", "--file", "big", "--file", "empty:big", "true"}).code, 2);
  EXPECT_EQ(run({"submit", "--file", "big", "--file", "empty:big/x", "true"}).code, 2);
  EXPECT_EQ(run({"submit", "--file", ".", "true"}).code, 2);
}

TEST_F(Submit, ADirectoryIsShippedWithoutWhatIsIgnored) {
  mkdir((files / "d").c_str(), 0755);
  mkdir((files / "d/sub").c_str(), 0755);
  mkdir((files / "d/build").c_str(), 0755);
  write_file("d/.dunlinignore", "*.o\nbuild/\n");
  write_file("d/a.c", "a");
  write_file("d/a.o", "o");
  write_file("d/build/x", "x");
  write_file("d/sub/run.sh", "#!/bin/sh\n", 0755);
  EXPECT_EQ(symlink("a.c", (files / "d/link").c_str()), 0);
  EXPECT_EQ(symlink(".", (files / "d/loop").c_str()), 0);
  const auto names = [](const JobSpec& spec) {
    std::vector<std::string> all;
    for (const ShippedFile& file : spec.files) all.push_back(file.name);
    return all;
  };
  JobSpec spec = spec_of(submit({"--dir", "d", "hang"}));
  EXPECT_EQ(names(spec), (std::vector<std::string>{".dunlinignore", "a.c", "link", "sub/run.sh"}));
  EXPECT_EQ(spec.files.back().mode, 0755U);
  spec = spec_of(submit({"--dir", "d:src", "hang"}));
  EXPECT_EQ(names(spec), (std::vector<std::string>{"src/.dunlinignore", "src/a.c", "src/link",
                                                   "src/sub/run.sh"}));
  EXPECT_EQ(run({"submit", "--dir", "absent", "true"}).code, 4);
}

TEST_F(Submit, ACommandNamedByPathIsShippedAndRunFromThere) {
  write_file("prog", "#!/bin/sh\necho hi\n", 0755);
  JobSpec spec = spec_of(submit({"./prog", "x"}));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"./prog", "x"}));
  ASSERT_EQ(spec.files.size(), 1U);
  EXPECT_EQ(spec.files[0].name, "prog");
  EXPECT_EQ(spec.files[0].mode, 0755U);
  EXPECT_EQ(spec.name, "prog");
  EXPECT_TRUE(spec_of(submit({"--no-ship", "./prog"})).files.empty());
  // Together with its directory it is one file still.
  EXPECT_EQ(spec_of(submit({"--dir", ".", "./prog"})).files.size(), 1U);
}

TEST_F(Submit, AScriptNeedNoPath) {
  write_file("prog", "#!/bin/sh\necho hi\n");
  const JobSpec spec = spec_of(submit({"prog"}));
  EXPECT_EQ(spec.argv[0], "./prog");
  EXPECT_EQ(spec.files.at(0).mode, 0744U);
  // Any other file of that name is none of it: the executing host has a command so called.
  write_file("binary",
             "\x7f"
             "ELF",
             0755);
  EXPECT_TRUE(spec_of(submit({"binary"})).files.empty());
}

TEST_F(Submit, AKeyMakesTheSameJobOnceAndAnotherSpecAConflict) {
  const std::string id = submit({"--key", "night-1", "hang"});
  EXPECT_EQ(submit({"--key", "night-1", "hang"}), id);
  const Ran other = run({"submit", "--key", "night-1", "true"});
  EXPECT_EQ(other.code, 5);
  EXPECT_NE(other.err.find("exists already"), std::string::npos);
  EXPECT_NE(submit({"--key", "night-2", "hang"}), id);
}

TEST_F(Submit, EachValueOfAJsonArrayIsAnEntry) {
  write_file("values", R"([ "plain text", 7, 2.50, null, { "b": [1, 2.0],
                          "a": "x \"y" }, "", 12345678901234567890123 ])");
  const JobSpec spec = spec_of(submit({"--from-json", "values", "hang", "{}"}));
  EXPECT_EQ(spec.entries, (std::vector<std::string>{"plain text", "7", "2.50", "null",
                                                    R"({"b":[1,2.0],"a":"x \"y"})", "",
                                                    "12345678901234567890123"}));
  EXPECT_FALSE(spec.append_entry);
  write_file("values", "\xef\xbb\xbf[\"a\"]");  // behind a byte order mark
  EXPECT_EQ(spec_of(submit({"--from-json", "values", "hang", "{}"})).entries,
            std::vector<std::string>{"a"});
  write_file("values", "[1e400]");
  EXPECT_EQ(run({"submit", "--from-json", "values", "x"}).err,
            "dunlin: --from-json values: number overflow parsing '1e400'; numbers are at most as "
            "large as a double; write others as texts\n");
  // So many that they travel in blocks.
  std::string many = "[0";
  for (int i = 1; i < 30'000; ++i) many += ",\n{\"i\": " + std::to_string(i) + "}";
  write_file("values", many + "]\n");
  EXPECT_EQ(spec_of(submit({"--from-json", "values", "hang", "{}"})).task_count(), 30'000U);
  EXPECT_EQ(run({"submit", "--from-json", "-", "true"}, "[1]").code, 0);
  EXPECT_EQ(run({"submit", "--from-json", "absent", "true"}).code, 4);
  for (const char* text :
       {"", "{}", "[1,", "[1] 2", "[]", "  7 ", R"(["a\u0000b"])", "[\"\xff\"]"}) {
    write_file("bad", text);
    const Ran ran = run({"submit", "--from-json", "bad", "true"});
    EXPECT_EQ(ran.code, 2) << text;
    EXPECT_EQ(line_count(ran.err), 1U) << ran.err;
  }
}

TEST_F(Submit, WhereAndWhenTasksMayRunArrives) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(1, "alpha"), fake_member(2, "beta"), fake_member(3, "gamma")};
  });
  const NodeId alpha = fake_member(1, "").facts.id;
  const NodeId beta = fake_member(2, "").facts.id;
  const NodeId gamma = fake_member(3, "").facts.id;
  const std::string first = submit({"hang"});
  const std::string last = submit({"hang"});
  const JobSpec spec = spec_of(submit({"--gpus",
                                       "2",
                                       "-r",
                                       "licence=3",
                                       "--zone",
                                       "z1",
                                       "--label",
                                       "disk=ssd",
                                       "--node",
                                       "alpha",
                                       "--node",
                                       beta.text(),
                                       "--exclude",
                                       "gamma",
                                       "--after",
                                       "last",
                                       "--afterany",
                                       first,
                                       "--begin",
                                       "2040-01-31T14:30:00+01:00",
                                       "--max-fails",
                                       "0",
                                       "--crash-limit",
                                       "2",
                                       "--keep",
                                       "2d",
                                       "--log-limit",
                                       "5M",
                                       "--chdir",
                                       "data",
                                       "hang"}));
  EXPECT_EQ(spec.devices.gpus, 2U);
  EXPECT_EQ(spec.devices.resources, (std::map<std::string, std::uint64_t>{{"licence", 3}}));
  EXPECT_EQ(spec.placement.zone, "z1");
  EXPECT_EQ(spec.placement.labels, (std::map<std::string, std::string>{{"disk", "ssd"}}));
  EXPECT_EQ(spec.placement.nodes, (std::vector<NodeId>{alpha, beta}));
  EXPECT_EQ(spec.placement.excluded, (std::vector<NodeId>{gamma}));
  EXPECT_EQ(spec.after,
            (std::vector<Dependency>{{JobId::from_text(last).value_or(JobId{}), false},
                                     {JobId::from_text(first).value_or(JobId{}), true}}));
  EXPECT_EQ(to_rfc3339(spec.begin), "2040-01-31T13:30:00.000Z");
  EXPECT_EQ(spec.max_fails, 0U);
  EXPECT_EQ(spec.crash_limit, 2U);
  EXPECT_EQ(spec.keep, seconds(2 * 86400));
  EXPECT_EQ(spec.log_limit, 5ULL << 20);
  EXPECT_TRUE(spec.host_directory.starts_with('/')) << spec.host_directory;
  EXPECT_TRUE(spec.host_directory.ends_with("/data")) << spec.host_directory;
  EXPECT_EQ(run({"submit", "--node", "delta", "true"}).code, 4);
  EXPECT_EQ(run({"submit", "--after", "zzzzzzz", "true"}).code, 4);
  EXPECT_EQ(run({"submit", "--after", "last.7", "true"}).code, 2);
}

TEST_F(Submit, PassesOnTheWholeEnvironmentButWhatANodeSets) {
  environment["FROM_HERE"] = "here";
  environment["DUNLIN_JOB_ID"] = "mine";
  const JobSpec spec = spec_of(submit({"--env-all", "--env", "FROM_HERE=there", "hang"}));
  EXPECT_EQ(spec.environment.at("FROM_HERE"), "there");
  for (const char* name : {"PATH", "HOME", "PWD", "DUNLIN_JOB_ID", "DUNLIN_SERVER"}) {
    EXPECT_FALSE(spec.environment.contains(name)) << name;
  }
}

TEST_F(Submit, StdinIsAFileOrWhatIsPipedIn) {
  write_file("in", "words");
  JobSpec spec = spec_of(submit({"--stdin", "in", "hang"}));
  ASSERT_EQ(spec.files.size(), 1U);
  EXPECT_EQ(spec.stdin_file, spec.files[0].name);
  EXPECT_EQ(blob(spec.files[0].content.at(0)), "words");
  const Ran piped = run({"submit", "--stdin", "-", "hang"}, "piped");
  spec = spec_of(piped.out.substr(0, 10));
  ASSERT_EQ(spec.files.size(), 1U) << piped.err;
  EXPECT_EQ(blob(spec.files[0].content.at(0)), "piped");
  EXPECT_EQ(run({"submit", "--stdin", "absent", "hang"}).code, 4);
}

TEST_F(Submit, ADryRunShowsTheJobAndLeavesNoTrace) {
  write_file("prog", "#!/bin/sh\n", 0755);
  const std::vector<std::string> job = {"-c",  "2",   "--mem", "1G", "./prog", "{/}", "a b",
                                        ":::", "d/x", "y",     "z",  "1",      "2",   "3"};
  std::vector<std::string> args = {"submit", "--dry-run"};
  args.insert(args.end(), job.begin(), job.end());
  EXPECT_EQ(run(args).out,
            "would be submitted:\n"
            "name        prog\n"
            "tasks       6\n"
            "command     ./prog {/} 'a b'\n"
            "each task   2 cpus, 1.0G of memory\n"
            "files       prog (10B)\n"
            "the first commands:\n"
            "  1  ./prog x 'a b'\n"
            "  2  ./prog y 'a b'\n"
            "  3  ./prog z 'a b'\n"
            "  4  ./prog 1 'a b'\n"
            "  5  ./prog 2 'a b'\n"
            "  and 1 more\n");
  args.push_back("4");
  args.insert(args.begin() + 1, "--json");
  const std::string spec = run(args).out;
  server.on_loop([](FakeNode& node) {
    EXPECT_TRUE(node.blobs.empty());
    EXPECT_TRUE(node.jobs.empty());
    EXPECT_TRUE(node.asked.empty());
  });
  // It is what would have been submitted, byte for byte.
  args.erase(args.begin() + 1, args.begin() + 3);
  const Ran submitted = run(args);
  EXPECT_EQ(spec, spec_json(spec_of(submitted.out.substr(0, 10))) + "\n");
  // What a node would refuse is refused here.
  EXPECT_EQ(run({"submit", "--dry-run", "--out", "../x", "true"}).code, 2);
}

TEST_F(Submit, ThePageOfAJobShowsWhatDiffersFromTheDefaults) {
  std::filesystem::create_directory(files / "d");
  for (const char* name : {"d/x", "d/y", "one"}) write_file(name, "text");
  const std::string page =
      "placeholder @\n"
      "each task   1 cpu\n"
      "limit       2 at once\n"
      "grace       30s\n"
      "files       one (4B), data/ (2 files)\n";
  std::vector<std::string> args = {"--limit", "2",     "--grace", "30s",    "-I",
                                   "@",       "--dir", "d:data",  "--file", "one",
                                   "hang",    "@",     ":::",     "a",      "b"};
  const std::string shown = run({"show", submit(args)}).out;
  EXPECT_NE(shown.find(page), std::string::npos) << shown;
  args.insert(args.begin(), {"submit", "--dry-run"});
  const std::string dry = run(args).out;
  EXPECT_NE(dry.find(page), std::string::npos) << dry;
  const std::string plain = run({"show", submit({"hang"})}).out;
  for (const char* line : {"\nplaceholder", "\nlimit", "\ngrace", "\nfiles"}) {
    EXPECT_EQ(plain.find(line), std::string::npos) << plain;
  }
}

TEST_F(Submit, OfATaskNumberThatIsTooLargeSaysTheLimit) {
  for (const char* array : {"1-99999999999", "4294967296", "1,2-4294967296:2"}) {
    const Ran ran = run({"submit", "--array", array, "true"});
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.err.find("over the limit of task numbers, 4294967295"), std::string::npos)
        << ran.err;
  }
  EXPECT_EQ(run({"submit", "--array", "1-x", "true"}).code, 2);
}

TEST_F(Submit, WaitsOrFollowsWhenTold) {
  EXPECT_EQ(run({"submit", "--wait", "false"}).code, 1);
  const Ran json = run({"submit", "--wait", "--json", "true"});
  EXPECT_EQ(json.code, 0);
  const auto job = job_from_json(json.out);
  ASSERT_TRUE(job) << json.out;
  EXPECT_EQ(job->state, JobState::kDone);
  const Ran followed = run({"submit", "--follow", "echo", "the", "output"});
  EXPECT_EQ(followed.code, 0);
  EXPECT_EQ(followed.out, "the output\n");
}

TEST_F(Submit, WhereTheAnswerIsLostSaysTheIdThatTheJobMayHave) {
  for (const Code code : {Code::kUnreachable, Code::kTimeout}) {
    server.on_loop([&](FakeNode& node) {
      node.fault = [code](const client::Request& request) -> std::optional<Error> {
        const auto* about = std::get_if<JobRequest>(&request);
        if (about == nullptr || !std::holds_alternative<SubmitJob>(*about)) return {};
        return Error{code, "lost", "try again"};
      };
    });
    const Ran ran = run({"submit", "true"});
    EXPECT_EQ(ran.out, "");
    JobId id;
    server.on_loop([&](FakeNode& node) {
      id = std::get<SubmitJob>(std::get<JobRequest>(node.asked.back())).id;
    });
    EXPECT_EQ(ran.err, "dunlin: lost; try again; it may have been accepted as " + id.text() +
                           ": dunlin show " + id.text() + "\n");
  }
}

TEST_F(Submit, WhereTheIdCannotBePrintedSaysThatTheJobWasAccepted) {
  for (const char* form : {"--quiet", "--json"}) {
    const Ran ran = run({"submit", form, "true"}, {}, {.path = "/dev/full"});
    EXPECT_EQ(ran.code, 1);
    std::string id;
    server.on_loop([&](FakeNode& node) {
      ASSERT_EQ(node.jobs.size(), 1U);
      id = node.jobs.begin()->first.text();
      node.jobs.clear();
    });
    EXPECT_NE(ran.err.find("job " + id + " was accepted, but stdout cannot be written"),
              std::string::npos)
        << ran.err;
  }
}

TEST_F(Submit, BytesThatAreNotUtf8ArriveAsTheyAre) {
  const std::string raw = "caf\xe9";
  const JobSpec spec = spec_of(submit({"--env", "V=" + raw, "hang", raw, ":::", raw}));
  EXPECT_EQ(spec.argv[1], raw);
  EXPECT_EQ(spec.environment.at("V"), raw);
  EXPECT_EQ(spec.entries[0], raw);
}

}  // namespace
}  // namespace dunlin
