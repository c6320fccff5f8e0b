#include "os/json.h"

#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/random.h"
#include "os/base64.h"
#include "os/fake_node.h"
#include "os/frames.h"
#include "os/json_time.h"
#include "os/task_ranges.h"
#include "os/utf8.h"

namespace dunlin {
namespace {

JobId job_id(const char* text) {
  return *JobId::from_text(text);
}

JobSpec full_spec() {
  JobSpec spec;
  spec.name = "render \"x\"\n";
  spec.argv = {"./render", "--all", "\xff\xfe raw", "\x01"};
  spec.cpus = 4;
  spec.memory = 1 << 30;
  spec.priority = -3;
  spec.retries = 2;
  spec.backoff = seconds(10);
  spec.time_limit = seconds(3600);
  spec.grace = seconds(1);
  spec.limit = 50;
  spec.tasks = {{1, 9, 2}, {20, 20, 1}};
  spec.many = true;
  spec.placeholder = "@";
  spec.append_entry = true;
  spec.files = {{"bin/render", 0755, 5, {{BlobId{{1}}, 3}, {BlobId{{2}}, 2}}},
                {"empty", 0600, 0, {}}};
  spec.outputs = {"*.png"};
  spec.environment = {{"A", "1"}, {"B", "\xc3\x28"}};
  spec.keep = seconds(60);
  spec.log_limit = 12345;
  spec.attended = true;
  spec.devices = {2, {{"licence", 3}}};
  spec.placement = {"zone-a", {{"disk", "ssd"}}, {NodeId{{1}}}, {NodeId{{2}}, NodeId{{3}}}};
  spec.after = {{job_id("bcdefghijk"), false}, {job_id("cdefghijkl"), true}};
  spec.begin = {1'800'000'000'000};
  spec.max_fails = 0;
  spec.crash_limit = 5;
  spec.host_directory = "/srv/data";
  spec.slurm_directory = "/home/u";
  return spec;
}

TEST(Json, ASubmissionIsReadBackAsItWasWritten) {
  SubmitJob submission{job_id("abcdefghij"), "", "nightly", full_spec()};
  const auto back = submission_from_json(submission_json(submission));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(submission));

  submission.spec.tasks = {{1, 3, 1}};
  submission.spec.entries = {"a", "b c", "\x80"};
  const auto entries = submission_from_json(submission_json(submission));
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_EQ(encode(*entries), encode(submission));

  submission.spec.entries.clear();
  submission.spec.entry_blocks = {{{BlobId{{7}}, 100}, 2}, {{BlobId{{8}}, 5}, 1}};
  const auto blocks = submission_from_json(submission_json(submission));
  ASSERT_TRUE(blocks) << blocks.error().message;
  EXPECT_EQ(encode(*blocks), encode(submission));
}

TEST(Json, ASubmissionWithAMisspeltOrWrongFieldIsRefusedByName) {
  const auto error_of = [](const std::string& spec) {
    const auto got = submission_from_json(R"({"id":"abcdefghij","spec":)" + spec + "}");
    return got ? std::string("accepted") : got.error().message;
  };
  EXPECT_EQ(error_of(R"({"argv":["true"]})"), "accepted");
  EXPECT_EQ(error_of(R"({"argv":["true"],"cpu":4})"), "spec.cpu is not a known key");
  EXPECT_EQ(error_of(R"({"argv":["a"],"cpus":-1})"), "spec.cpus must be a whole number in range");
  EXPECT_EQ(error_of(R"({"argv":["a"],"cpus":"4"})"), "spec.cpus must be a whole number in range");
  EXPECT_EQ(error_of(R"({"argv":"a"})"), "spec.argv must be an array");
  EXPECT_EQ(error_of(R"({"argv":[1]})"), "spec.argv must be an array of texts");
  EXPECT_EQ(error_of(R"({"argv":["a"],"grace_ms":-5})"),
            "spec.grace_ms must be between 0 and 100 years");
  EXPECT_NE(error_of(R"({"argv":["a"],"files":[{"name":"x","mode":512}]})").find("0777"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"argv":["a"],"array":"9-1"})").find("9-1"), std::string::npos);
  EXPECT_NE(error_of(R"({"argv":["a"],"array":"1-2","entries":["a"]})").find("array"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"argv":["a"],"env":{"A":1}})").find("env"), std::string::npos);
  EXPECT_FALSE(submission_from_json("{"));
  EXPECT_FALSE(submission_from_json("[]"));
  EXPECT_FALSE(submission_from_json(R"({"id":"Abcdefghij","spec":{"argv":["a"]}})"));
}

TEST(Json, AJobShowsEveryDocumentedFieldEvenWhenItHasNoValue) {
  JobSummary job;
  job.id = job_id("abcdefghij");
  const std::string text = job_json(job, 0);
  for (const char* field :
       {"\"id\":\"abcdefghij\"", "\"name\":\"\"", "\"user\":\"\"", "\"state\":\"waiting\"",
        "\"reason\":null", "\"priority\":0", "\"group\":null", "\"coordinator\":null",
        "\"epoch\":0", "\"submitted_at\":null", "\"started_at\":null", "\"finished_at\":null",
        "\"expires_at\":null", "\"exit_code\":null",
        "\"tasks\":{\"total\":0,\"waiting\":0,\"queued\":0,\"running\":0,"
        "\"paused\":0,\"done\":0,\"failed\":0,\"cancelled\":0}"}) {
    EXPECT_NE(text.find(field), std::string::npos) << field << " in " << text;
  }
  EXPECT_NE(job_json(job, 16).find("\"group\":" + std::to_string(job.id.group(16).value)),
            std::string::npos);
}

TEST(Json, JobsAndTasksAreReadBackAsTheyWereWritten) {
  JobSummary job;
  job.id = job_id("abcdefghij");
  job.name = "n";
  job.user = "u";
  job.state = JobState::kFailed;
  job.reason = Reason::kTimeLimit;
  job.priority = -4;
  job.coordinator = NodeId{{5}};
  job.epoch = 12;
  job.submitted_at = {1'700'000'000'123};
  job.started_at = {1'700'000'000'456};
  job.finished_at = {1'700'000'001'000};
  job.exit_code = -1;
  job.tasks = {9, 1, 1, 1, 1, 2, 2, 1};
  job.version = 77;
  const auto jobs = jobs_from_json(jobs_json({job, job}, 16));
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 2U);
  EXPECT_EQ(encode((*jobs)[1]), encode(job));

  TaskView task;
  task.job = job.id;
  task.task = 7;
  task.state = TaskState::kFailed;
  task.reason = Reason::kSignal;
  task.node = NodeId{{6}};
  task.attempt = 3;
  task.signal = 9;
  task.started_at = {1'700'000'000'456};
  task.duration_ms = 12;
  task.cpu_ms = 0;
  task.max_rss = 1 << 20;
  task.entry = "a\tb";
  task.log_truncated = true;
  task.detail = "killed";
  const auto back = tasks_from_json(tasks_json({task}));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(back->front()), encode(task));
}

TEST(Json, AListOfTasksIsReadHoweverItIsWritten) {
  TaskView task;
  task.job = *JobId::from_text("abcdefghij");
  task.task = 7;
  task.entry = "pl\xC3\xA4in";
  TaskView odd = task;
  odd.entry = "quo\"ted\n";
  odd.outputs.resize(1);
  odd.outputs[0].name = "x";
  std::string plain = tasks_json({task, odd, task});
  std::string spaced;
  for (const char c : plain)
    spaced += c == ',' || c == ':' ? std::string(1, c) + " " : std::string(1, c);
  for (const std::string& text : {plain, plain + "\n", spaced}) {
    const auto back = tasks_from_json(text);
    ASSERT_TRUE(back) << back.error().message << text;
    ASSERT_EQ(back->size(), 3U);
    EXPECT_EQ(encode((*back)[0]), encode(task));
    EXPECT_EQ(encode((*back)[1].entry), encode(odd.entry));
    EXPECT_EQ(encode((*back)[2]), encode(task));
  }
  EXPECT_TRUE(tasks_from_json("[]"));
  const std::string more = plain.substr(0, plain.find("\"task\"")) + "\"new\":{\"a\":[1.5]}," +
                           plain.substr(plain.find("\"task\""));
  EXPECT_TRUE(tasks_from_json(more));
  for (const char* bad : {"", "{}", "[{]", "[{}]", "[1]", "[{\"job\":\"abcdefghij\"}]"}) {
    EXPECT_FALSE(tasks_from_json(bad)) << bad;
  }
  for (const auto& [from, to] : {std::pair("\"task\":7", "\"task\":07"),
                                 {"\"task\":7", "\"task\":-7"},
                                 {"\"task\":7", "\"task\":\"7\""},
                                 {"\xC3\xA4", "\xFF"}}) {
    std::string wrong = plain;
    wrong.replace(wrong.find(from), std::string_view(from).size(), to);
    EXPECT_FALSE(tasks_from_json(wrong)) << to;
  }
}

TEST(Json, OfANodeThatIsGoneNothingIsFree) {
  client::NodeList list;
  list.nodes = {fake_member(1, "a")};
  list.nodes[0].load.draining = true;
  list.now = Instant{5'000'000};
  for (const MemberState state : {MemberState::kDead, MemberState::kLeft}) {
    list.nodes[0].state = state;
    const std::string text = nodes_json(list);
    for (const char* field :
         {"cpus_free", "mem_free", "disk_free", "running", "queued", "load_age_ms", "gpus_free"}) {
      EXPECT_NE(text.find(std::string("\"") + field + "\":null"), std::string::npos) << field;
    }
    EXPECT_NE(text.find("\"draining\":false"), std::string::npos);
  }
}

TEST(Json, ANodeShowsNullForALoadThatWasNeverHeard) {
  client::NodeList list;
  list.nodes = {fake_member(1, "a"), fake_member(2, "b")};
  list.nodes[1].load_at = Instant{};
  list.now = Instant{5'000'000};
  const std::string text = nodes_json(list);
  EXPECT_NE(text.find("\"load_age_ms\":1000"), std::string::npos);
  EXPECT_NE(text.find("\"load_age_ms\":null"), std::string::npos);
  EXPECT_NE(text.find("\"cpus_free\":null"), std::string::npos);
  for (const char* field : {"address", "draining", "zone", "labels", "cpus_total", "mem_total",
                            "mem_free", "gpus_total", "gpus_free", "resources", "disk_total",
                            "disk_free", "running", "queued", "version"}) {
    EXPECT_NE(text.find(std::string("\"") + field + "\":"), std::string::npos) << field;
  }
  const auto back = nodes_from_json(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)[0].facts.name, "a");
  EXPECT_EQ((*back)[0].load.cpus_free, 3U);
  EXPECT_EQ((Instant{} - (*back)[0].load_at).milliseconds(), 1000);
  EXPECT_EQ((*back)[1].load_at, Instant{});
}

TEST(Json, WhatIsFreeOfDevicesIsShownWhereItIsKnown) {
  client::NodeList list;
  list.nodes = {fake_member(1, "a"), fake_member(2, "b"), fake_member(3, "c")};
  for (Member& member : list.nodes) {
    member.facts.gpus = 4;
    member.facts.resources = {{"license", 7}};
    member.load.running = 2;
  }
  list.nodes[1].load.running = 0;
  list.now = Instant{5'000'000};
  list.self = list.nodes[0].facts.id;
  list.devices_free[list.self] = {1, {{"license", 3}}};
  list.isolation_note = "memory is watched";
  const std::string text = nodes_json(list);
  EXPECT_NE(
      text.find(R"("gpus_total":4,"gpus_free":1,"resources":{"license":{"total":7,"free":3}})"),
      std::string::npos);
  EXPECT_NE(
      text.find(R"("gpus_total":4,"gpus_free":4,"resources":{"license":{"total":7,"free":7}})"),
      std::string::npos);
  EXPECT_NE(
      text.find(
          R"("gpus_total":4,"gpus_free":null,"resources":{"license":{"total":7,"free":null}})"),
      std::string::npos);
  EXPECT_NE(text.find(R"("note":"memory is watched")"), std::string::npos);
  EXPECT_NE(text.find(R"("note":null)"), std::string::npos);
}

TEST(Json, AnExplanationIsReadBack) {
  Explained told;
  told.task.job = *JobId::from_text("a123456789");
  told.task.task = 7;
  told.task.state = TaskState::kQueued;
  told.task.reason = Reason::kResources;
  told.needs = {{4, 1 << 30, {2, {{"license", 1}}}}, "east", {{"disk", "ssd"}}};
  NodeVerdict full;
  full.node = fake_member(1, "a").facts.id;
  full.name = "a";
  full.verdict = FitVerdict::kFull;
  full.has = Supply{{1, 1 << 20, {0, {{"license", 0}}}}, "east", {{"disk", "ssd"}}};
  full.ahead = 3;
  full.asked_ms_ago = 12;
  full.note = "memory is watched";
  NodeVerdict dead;
  dead.node = fake_member(2, "b").facts.id;
  dead.since = {1'700'000'000'000};
  told.nodes = {full, dead};
  AttemptView attempt;
  attempt.attempt = 1;
  attempt.node = full.node;
  attempt.outcome = "failed";
  attempt.reason = Reason::kExit;
  attempt.exit_code = 9;
  told.attempts = {attempt};
  const std::string text = explained_json(told);
  const auto back = explained_from_json(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(told));
  for (const char* field : {"job", "task", "state", "reason", "detail", "node", "verdict", "needs",
                            "has", "ahead", "asked_ms_ago", "since", "attempts"}) {
    EXPECT_NE(text.find(std::string("\"") + field + "\":"), std::string::npos) << field;
  }
  EXPECT_NE(text.find(R"("has":{},"ahead":null,"asked_ms_ago":null)"), std::string::npos);
}

TEST(Json, StatusTokenAndGroupChoiceAreReadBack) {
  client::Status status;
  status.cluster.raw[3] = 9;
  status.can_lose = 1;
  status.alive = 5;
  status.blocks_missing = 2;
  status.jobs_by_state = {1, 2, 3, 4, 5, 6};
  status.silent_groups = 4;
  const auto back = status_from_json(status_json(status));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->cluster, status.cluster);
  EXPECT_EQ(back->jobs_by_state, status.jobs_by_state);
  EXPECT_EQ(back->blocks_missing, 2U);
  EXPECT_EQ(back->silent_groups, 4U);

  const auto token =
      token_from_json(token_json({"secret", "t1", {1'700'000'000'000}, "user", "ann"}));
  ASSERT_TRUE(token);
  EXPECT_EQ(token->expires_at.ms, 1'700'000'000'000);
  EXPECT_EQ(token->user, "ann");
  const auto choice = group_choice_from_json(group_choice_json({GroupId{3}, 16, "ann"}));
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->user, "ann");
  EXPECT_FALSE(group_choice_from_json(R"({"group":16,"group_count":16})"));
}

TEST(Json, AnErrorKeepsItsCodeMessageAndHint) {
  const Error error = error_from_json(error_json({Code::kConflict, "there \"is\" one", "use it"}));
  EXPECT_EQ(error.code, Code::kConflict);
  EXPECT_EQ(error.message, "there \"is\" one");
  EXPECT_EQ(error.hint, "use it");
  EXPECT_EQ(error_from_json("<html>").code, Code::kFailed);
  // Scripts are promised nine codes.
  EXPECT_NE(error_json({Code::kCorrupt, "", ""}).find("\"failed\""), std::string::npos);
}

TEST(Json, TextThatIsNotUtf8IsReplacedAndControlCharactersAreEscaped) {
  std::string text;
  JsonWriter out(text);
  out.value(std::string_view("a\"\\\n\x01\x7f\xc3\xa4\xed\xa0\x80\xf0\x9f\x90\xa6\xff", 16));
  EXPECT_EQ(text,
            "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "\xf0\x9f\x90\xa6\xEF\xBF\xBD\"");
}

TEST(Json, ReadersSurviveDamagedText) {
  Random random(77);
  const std::vector<std::string> sound = {
      submission_json({job_id("abcdefghij"), "", "k", full_spec()}), jobs_json({JobSummary{}}, 4),
      tasks_json({TaskView{}}), status_json({}), nodes_json({{fake_member(1, "a")}, {}, {}})};
  for (int round = 0; round < 2000; ++round) {
    std::string text = sound[random.below(sound.size())];
    for (std::uint64_t n = 1 + random.below(5); n > 0; --n) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    (void)submission_from_json(text);
    (void)jobs_from_json(text);
    (void)tasks_from_json(text);
    (void)status_from_json(text);
    (void)nodes_from_json(text);
    (void)error_from_json(text);
    (void)watch_line_from_json(text);
  }
  EXPECT_FALSE(jobs_from_json(std::string(100'000, '[')));
}

TEST(Base64, RoundTripsAndRefusesWhatIsNone) {
  Random random(5);
  for (std::size_t length = 0; length < 50; ++length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.below(256));
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
  EXPECT_EQ(to_base64("dunlin"), "ZHVubGlu");
  EXPECT_EQ(to_base64("dunli"), "ZHVubGk=");
  for (const char* bad : {"a", "abc", "ab=c", "a===", "ZH==ZH==", "****"}) {
    EXPECT_FALSE(from_base64(bad)) << bad;
  }
}

TEST(TaskRanges, AreReadAsPeopleWriteThem) {
  const auto text = [](const char* given) {
    const auto ranges = task_ranges_from(given);
    return ranges ? text_of(*ranges) + " #" + std::to_string(count_of(*ranges))
                  : std::string("refused");
  };
  EXPECT_EQ(text("1-1000"), "1-1000 #1000");
  EXPECT_EQ(text("0-9:2"), "0-8:2 #5");
  EXPECT_EQ(text("7-9,1,4"), "1,4,7-9 #5");
  EXPECT_EQ(text("5"), "5 #1");
  EXPECT_EQ(text("1-9:2,2-8:2"), "1,2,3,4,5,6,7,8,9 #9");
  EXPECT_EQ(text("1-10000000"), "1-10000000 #10000000");
  for (const char* bad : {"", "a", "1-", "-1", "3-1", "1,,2", "1-3:0", "1,1", "1-5,3", "4:2",
                          "0-10000000", "1-4294967296", " 1"}) {
    EXPECT_EQ(text(bad), "refused") << bad;
  }
}

TEST(Frames, AreTheSameHoweverTheBytesAreCut) {
  const std::string stream = frame_text(FrameKind::kStdout, 7, "hello") +
                             frame_text(FrameKind::kEnd, 0, "") +
                             frame_text(FrameKind::kStderr, 70'000, std::string(1000, 'e'));
  for (std::size_t step : {1UL, 3UL, 10UL, stream.size()}) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.feed(std::string_view(stream).substr(at, step));
      while (auto frame = reader.next()) frames.push_back(*frame);
    }
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].task, 7U);
    EXPECT_EQ(frames[0].payload, "hello");
    EXPECT_EQ(frames[1].kind, FrameKind::kEnd);
    EXPECT_EQ(frames[2].task, 70'000U);
    EXPECT_EQ(frames[2].payload.size(), 1000U);
  }
  FrameReader broken;
  broken.feed(std::string(9, '\xff'));
  EXPECT_FALSE(broken.next());
  EXPECT_TRUE(broken.is_broken());
}

TEST(JsonTime, IsReadBackAndNothingElseIs) {
  EXPECT_EQ(from_rfc3339("2026-11-21T21:03:42.123Z")->ms, 1'795'295'022'123);
  EXPECT_EQ(to_rfc3339(*from_rfc3339("2026-11-21T21:03:42.123Z")), "2026-11-21T21:03:42.123Z");
  EXPECT_EQ(from_rfc3339("1970-01-01T00:00:01Z")->ms, 1000);
  for (const char* bad :
       {"", "now", "2026-11-21", "2026-11-21T21:03:42", "2026-11-21T21:03:42+01:00"}) {
    EXPECT_FALSE(from_rfc3339(bad)) << bad;
  }
  // Days that no calendar has.
  for (const char* bad : {"2026-04-31", "2026-02-29", "2100-02-29", "2024-02-30", "2026-01-00",
                          "2026-01-32", "2026-00-01", "2026-13-01"}) {
    EXPECT_FALSE(from_rfc3339(bad + std::string("T00:00:00Z"))) << bad;
  }
  for (const char* day : {"2024-02-29", "2000-02-29", "2026-02-28", "2026-04-30", "2026-12-31"}) {
    const std::string text = day + std::string("T00:00:00.000Z");
    const auto time = from_rfc3339(text);
    EXPECT_EQ(time ? to_rfc3339(*time) : "none", text);
  }
}

TEST(Utf8, TellsCharactersFromOtherBytes) {
  EXPECT_TRUE(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6"));
  EXPECT_EQ(utf8_count("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6"), 4U);
  for (const char* bad : {"\xc3", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace dunlin
