#include "os/api.h"

#include <gtest/gtest.h>
#include <pwd.h>

#include "os/api_server.h"
#include "os/frames.h"
#include "os/json.h"
#include "os/raw_client.h"

namespace dunlin {
namespace {

struct Answered {
  int status = 0;
  std::string head;
  std::string body;  // chunks joined
};

std::string unchunked(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t line = text.find("\r\n");
    if (line == std::string_view::npos) break;
    const std::size_t length = std::stoul(std::string(text.substr(0, line)), nullptr, 16);
    out += text.substr(line + 2, length);
    text.remove_prefix(std::min(text.size(), line + 2 + length + 2));
  }
  return out;
}

class ApiTest : public ::testing::Test {
 protected:
  // One request on a connection of its own, to the end of the answer.
  Answered ask(const std::string& method, const std::string& target, const std::string& body = {}) {
    RawClient client(server.socket);
    client.send(method + " " + target + " HTTP/1.1\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n");
    std::string_view rest = body;
    client.read_until([&] {
      rest = client.send_some(rest);
      return rest.empty();
    });
    EXPECT_TRUE(client.read_to_end()) << target;
    return taken_apart(client.received);
  }
  static Answered taken_apart(std::string text) {
    const std::string life = "HTTP/1.1 100 Continue\r\n\r\n";
    while (text.starts_with(life)) text.erase(0, life.size());
    Answered answered;
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return answered;
    answered.head = text.substr(0, end);
    answered.body = text.substr(end + 4);
    answered.status = std::stoi(answered.head.substr(9, 3));
    if (answered.head.find("chunked") != std::string::npos)
      answered.body = unchunked(answered.body);
    return answered;
  }
  static std::string submission(const std::string& id, const std::string& argv,
                                const std::string& more = {}) {
    return R"({"id":")" + id + R"(","spec":{"argv":)" + argv + more + "}}";
  }
  void submit(const std::string& id, const std::string& argv, const std::string& more = {}) {
    const Answered answered = ask("POST", "/v1/jobs", submission(id, argv, more));
    ASSERT_EQ(answered.status, 200) << answered.body;
  }
  static std::vector<Frame> frames_of(const std::string& body) {
    FrameReader reader;
    reader.feed(body);
    std::vector<Frame> frames;
    while (auto frame = reader.next()) frames.push_back(*frame);
    EXPECT_FALSE(reader.is_broken());
    return frames;
  }
  static std::string text_of(const std::vector<Frame>& frames, FrameKind kind,
                             std::uint32_t task = 1) {
    std::string text;
    for (const Frame& frame : frames) {
      if (frame.kind == kind && frame.task == task) text += frame.payload;
    }
    return text;
  }
  static JobId id_of(const std::string& text) { return *JobId::from_text(text); }

  ApiServer server;
};

TEST_F(ApiTest, ListsNodesAsAnArrayAndSaysWhichOneAnswered) {
  server.on_loop([](FakeNode& node) { node.members = {fake_member(1, "a"), fake_member(2, "b")}; });
  const Answered answered = ask("GET", "/v1/nodes");
  EXPECT_EQ(answered.status, 200);
  const auto nodes = nodes_from_json(answered.body);
  ASSERT_TRUE(nodes);
  EXPECT_EQ(nodes->size(), 2U);
  EXPECT_NE(answered.head.find("Dunlin-Node: "), std::string::npos);
}

TEST_F(ApiTest, ShowsTheStatus) {
  server.on_loop([](FakeNode& node) { node.status.can_lose = 1; });
  const auto status = status_from_json(ask("GET", "/v1/status").body);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->can_lose, 1U);
}

TEST_F(ApiTest, SubmitsAJobAsTheCallerAndAcknowledgesItAgain) {
  const Answered first = ask("POST", "/v1/jobs", submission("abcdefghij", R"(["hang"])"));
  ASSERT_EQ(first.status, 200) << first.body;
  const auto job = job_from_json(first.body);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->user, getpwuid(getuid())->pw_name);
  EXPECT_EQ(job->state, JobState::kRunning);
  EXPECT_EQ(ask("POST", "/v1/jobs", submission("abcdefghij", R"(["hang"])")).status, 200);
  const Answered other = ask("POST", "/v1/jobs", submission("abcdefghij", R"(["true"])"));
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(error_from_json(other.body).code, Code::kConflict);
}

TEST_F(ApiTest, RefusesASubmissionThatMakesNoSense) {
  EXPECT_EQ(ask("POST", "/v1/jobs", "{").status, 400);
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"spec":{"argv":["true"]}})").status, 400);
  EXPECT_EQ(ask("POST", "/v1/jobs", submission("abcdefghij", R"([])")).status, 400);
  EXPECT_EQ(ask("POST", "/v1/jobs?x=1", submission("abcdefghij", R"(["true"])")).status, 400);
  EXPECT_EQ(ask("POST", "/v1/jobs", std::string(kMaxJsonBody + 1, ' ')).status, 413);
}

TEST_F(ApiTest, AKeyMustBelongToTheId) {
  const auto choice = group_choice_from_json(ask("GET", "/v1/pick-group").body);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->group.value, 3);
  const JobId right = job_id_for_key(choice->user, "k", choice->group_count);
  const std::string spec = R"(","key":"k","spec":{"argv":["true"]}})";
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"id":"abcdefghij)" + spec).status, 400);
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"id":")" + right.text() + spec).status, 200);
}

TEST_F(ApiTest, ListsJobsByUserStatePrefixAndName) {
  submit("abcdefghij", R"(["true"])", R"(,"name":"first")");
  submit("bbcdefghij", R"(["false"])", R"(,"name":"second")");
  const auto count = [&](const std::string& query) {
    const auto jobs = jobs_from_json(ask("GET", "/v1/jobs" + query).body);
    return jobs ? static_cast<int>(jobs->size()) : -1;
  };
  EXPECT_EQ(count(""), 2);
  EXPECT_EQ(count("?mine=1"), 2);
  EXPECT_EQ(count("?user=nobody-here"), 0);
  EXPECT_EQ(count("?state=failed"), 1);
  EXPECT_EQ(count("?prefix=ab"), 1);
  EXPECT_EQ(count("?name=sec%2A"), 1);
  EXPECT_EQ(count("?since=2030-01-01T00:00:00Z"), 0);
  EXPECT_EQ(count("?all=1&limit=1"), 1);
  EXPECT_NE(ask("GET", "/v1/jobs?limit=1").head.find("Dunlin-More: 1"), std::string::npos);
  EXPECT_EQ(ask("GET", "/v1/jobs?state=bad").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs?limit=-1").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs?since=yesterday").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs?stat=failed").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs?user=a&user=b").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs?user=%zz").status, 400);
  server.on_loop([](FakeNode& node) { node.silent_groups = 7; });
  EXPECT_NE(ask("GET", "/v1/jobs").head.find("Dunlin-Silent-Groups: 7"), std::string::npos);
}

TEST_F(ApiTest, ShowsAJobWithItsSpec) {
  submit("abcdefghij", R"(["echo","hi"])", R"(,"cpus":3)");
  const Answered answered = ask("GET", "/v1/jobs/abcdefghij");
  EXPECT_EQ(answered.status, 200);
  EXPECT_NE(answered.body.find(R"("spec":{"name":"","argv":["echo","hi"],"cpus":3)"),
            std::string::npos);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij?stale=1").status, 200);
  EXPECT_EQ(ask("GET", "/v1/jobs/zzzzzzzzzz").status, 404);
  EXPECT_EQ(ask("GET", "/v1/jobs/short").status, 400);
}

TEST_F(ApiTest, PagesThroughTasks) {
  submit("abcdefghij", R"(["false"])", R"(,"array":"1-10")");
  const Answered page = ask("GET", "/v1/jobs/abcdefghij/tasks?limit=4&after=2");
  const auto tasks = tasks_from_json(page.body);
  ASSERT_TRUE(tasks);
  ASSERT_EQ(tasks->size(), 4U);
  EXPECT_EQ(tasks->front().task, 3U);
  EXPECT_NE(page.head.find("Dunlin-After: 6"), std::string::npos);
  EXPECT_EQ(tasks_from_json(ask("GET", "/v1/jobs/abcdefghij/tasks?tasks=2,5-6").body)->size(), 3U);
  EXPECT_EQ(tasks_from_json(ask("GET", "/v1/jobs/abcdefghij/tasks?state=done").body)->size(), 0U);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/tasks?tasks=x").status, 400);
}

TEST_F(ApiTest, AnAnswerThatTakesLongAndAQuietStreamShowSignsOfLife) {
  submit("abcdefghij", R"(["hang"])");
  RawClient asking(server.socket);
  asking.send("GET /v1/jobs/abcdefghij/watch?seen=1000 HTTP/1.1\r\n\r\n");
  RawClient following(server.socket);
  following.send("GET /v1/jobs/abcdefghij/logs?follow=1 HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(asking.read_until_text("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_TRUE(following.read_until_text(frame_text(FrameKind::kAlive, 0, "")));
}

TEST_F(ApiTest, ListsThatBeginWithTaskZeroAreWhole) {
  submit("abcdefghij", R"(["false"])", R"(,"array":"0-4")");
  const std::string tasks = "/v1/jobs/abcdefghij/tasks";
  EXPECT_EQ(tasks_from_json(ask("GET", tasks).body)->size(), 5U);
  EXPECT_EQ(tasks_from_json(ask("GET", tasks + "?after=0").body)->size(), 4U);
  EXPECT_EQ(ask("GET", tasks + "?after=4294967295").status, 400);
}

TEST_F(ApiTest, CancelsAJobOrSomeOfItsTasks) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-4")");
  auto job = job_from_json(ask("POST", "/v1/jobs/abcdefghij/cancel?tasks=2-3").body);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->tasks.cancelled, 2U);
  job = job_from_json(ask("POST", "/v1/jobs/abcdefghij/cancel").body);
  EXPECT_EQ(job->state, JobState::kCancelled);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/cancel").status, 405);
}

TEST_F(ApiTest, WatchesAJobUntilItChanges) {
  submit("abcdefghij", R"(["hang"])");
  const auto now = job_from_json(ask("GET", "/v1/jobs/abcdefghij/watch?seen=0").body);
  ASSERT_TRUE(now);
  RawClient client(server.socket);
  client.send("GET /v1/jobs/abcdefghij/watch?seen=" + std::to_string(now->version) +
              " HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 1; }));
  EXPECT_TRUE(client.received.empty());
  server.on_loop([](FakeNode& node) {
    node.finish_task(*JobId::from_text("abcdefghij"), 1, TaskState::kDone, Reason::kNone);
  });
  EXPECT_TRUE(client.read_until_text("\"state\":\"done\""));
}

TEST_F(ApiTest, AClientThatLeavesIsToldToTheNode) {
  submit("abcdefghij", R"(["hang"])");
  RawClient client(server.socket);
  client.send("GET /v1/jobs/abcdefghij/watch?seen=99 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 1; }));
  client.leave();
  EXPECT_TRUE(server.wait_until(
      [](FakeNode& node) { return node.watching() == 0 && node.gone.size() == 1; }));
}

TEST_F(ApiTest, StoresAndReturnsBlobs) {
  std::string content(kMaxBlob, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7);
  const Answered put = ask("PUT", "/v1/blobs", content);
  ASSERT_EQ(put.status, 200) << put.body;
  const auto blob = blob_from_json(put.body);
  ASSERT_TRUE(blob);
  EXPECT_EQ(blob->length, content.size());
  EXPECT_EQ(blob->id, blob_id_of(as_bytes(content)));
  EXPECT_EQ(ask("GET", "/v1/blobs/" + blob->id.text()).body, content);
  EXPECT_EQ(ask("GET", "/v1/blobs/" + BlobId{{9}}.text()).status, 404);
  EXPECT_EQ(ask("GET", "/v1/blobs/x").status, 400);
  EXPECT_EQ(ask("PUT", "/v1/blobs", std::string(kMaxBlob + 1, 'x')).status, 429);
  EXPECT_EQ(ask("PUT", "/v1/blobs", std::string(kMaxHttpBody + 1, 'x')).status, 413);
}

TEST_F(ApiTest, ReturnsLogsAsPlainBytesInTheOrderOfTasks) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-3")");
  server.on_loop([](FakeNode& node) {
    const JobId id = *JobId::from_text("abcdefghij");
    node.write_log(id, 3, false, "three\n");
    node.write_log(id, 1, false, "one\n");
    node.write_log(id, 1, true, "wrong\n");
    node.write_log(id, 2, false, std::string(600'000, '2'));
  });
  const std::string all = ask("GET", "/v1/jobs/abcdefghij/logs").body;
  EXPECT_EQ(all, "one\n" + std::string(600'000, '2') + "three\n");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs?tasks=3").body, "three\n");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs?tasks=1&stream=stderr").body, "wrong\n");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs?tasks=1&stream=both").body, "one\nwrong\n");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs?tasks=9").status, 404);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs?stream=x").status, 400);
  EXPECT_EQ(ask("GET", "/v1/jobs/zzzzzzzzzz/logs").status, 404);
}

TEST_F(ApiTest, LogsOfManySilentTasksCostNoQuestionEach) {
  submit("abcdefghij", R"(["true"])", R"(,"array":"1-12000")");
  server.on_loop([](FakeNode& node) {
    const JobId id = *JobId::from_text("abcdefghij");
    node.jobs.at(id).logs[{11'000, false}].text = "a word\n";
    node.jobs.at(id).logs[{11'001, false}].text = std::string(600'000, 'x');
    node.asked.clear();
  });
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs").body, "a word\n" + std::string(600'000, 'x'));
  server.on_loop([](FakeNode& node) { EXPECT_LT(node.asked.size(), 10U); });
}

TEST_F(ApiTest, MarksWhereALogWasCut) {
  submit("abcdefghij", R"(["hang"])");
  server.on_loop([](FakeNode& node) {
    const JobId id = *JobId::from_text("abcdefghij");
    node.jobs.at(id).logs[{1, false}] = {"tail\n", 500};
    node.finish_task(id, 1, TaskState::kDone, Reason::kNone);
  });
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/logs").body,
            "\n[dunlin: 500 bytes cut out by --log-limit]\ntail\n");
}

TEST_F(ApiTest, FollowsOneTaskUntilItsJobIsFinal) {
  submit("abcdefghij", R"(["hang"])");
  RawClient client(server.socket);
  client.send(
      "GET /v1/jobs/abcdefghij/logs?follow=1&stream=both&tasks=1 HTTP/1.1\r\nConnection: "
      "close\r\n\r\n");
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 1; }));
  const JobId id = id_of("abcdefghij");
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "first "); });
  ASSERT_TRUE(client.read_until_text("first "));
  server.on_loop([&](FakeNode& node) {
    node.write_log(id, 1, true, "oops");
    node.write_log(id, 1, false, "last");
    node.finish_task(id, 1, TaskState::kFailed, Reason::kExit, 3);
  });
  ASSERT_TRUE(client.read_to_end());
  const auto frames = frames_of(taken_apart(client.received).body);
  EXPECT_EQ(text_of(frames, FrameKind::kStdout), "first last");
  EXPECT_EQ(text_of(frames, FrameKind::kStderr), "oops");
  EXPECT_EQ(frames.back().kind, FrameKind::kEnd);
  EXPECT_NE(text_of(frames, FrameKind::kJob, 0).find("\"state\":\"failed\""), std::string::npos);
}

TEST_F(ApiTest, AFollowedTaskThatStartsAnewIsReadFromItsBeginning) {
  submit("abcdefghij", R"(["hang"])");
  RawClient client(server.socket);
  client.send(
      "GET /v1/jobs/abcdefghij/logs?follow=1&tasks=1 HTTP/1.1\r\nConnection: close\r\n\r\n");
  const JobId id = id_of("abcdefghij");
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "lost with its host"); });
  ASSERT_TRUE(client.read_until_text("lost with its host"));
  server.on_loop([&](FakeNode& node) {
    node.restart_task(id, 1);
    node.write_log(id, 1, false, "second attempt");
    node.finish_task(id, 1, TaskState::kDone, Reason::kNone);
  });
  ASSERT_TRUE(client.read_to_end());
  const auto frames = frames_of(taken_apart(client.received).body);
  EXPECT_EQ(text_of(frames, FrameKind::kAttempt), "o1o2");
  EXPECT_EQ(text_of(frames, FrameKind::kStdout), "lost with its hostsecond attempt");
}

TEST_F(ApiTest, FollowsManyTasks) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-100")");
  RawClient client(server.socket);
  client.send("GET /v1/jobs/abcdefghij/logs?follow=1 HTTP/1.1\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 1; }));
  const JobId id = id_of("abcdefghij");
  server.on_loop([&](FakeNode& node) {
    for (std::uint32_t n = 1; n <= 100; ++n) {
      node.write_log(id, n, false, "task " + std::to_string(n) + "\n");
    }
    for (std::uint32_t n = 100; n >= 1; --n) {
      node.finish_task(id, n, TaskState::kDone, Reason::kNone);
    }
  });
  ASSERT_TRUE(client.read_to_end());
  const auto frames = frames_of(taken_apart(client.received).body);
  for (std::uint32_t n = 1; n <= 100; ++n) {
    EXPECT_EQ(text_of(frames, FrameKind::kStdout, n), "task " + std::to_string(n) + "\n");
  }
  EXPECT_EQ(frames.back().kind, FrameKind::kEnd);
}

TEST_F(ApiTest, OfManyFinishedTasksOnlyLongLogsAreReadOneByOne) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-100")");
  const JobId id = id_of("abcdefghij");
  const std::string text(2 * FakeNode::kInline, 'x');
  server.on_loop([&](FakeNode& node) {
    node.write_log(id, 7, true, text);
    for (std::uint32_t n = 1; n <= 100; ++n) {
      if (n != 7) node.write_log(id, n, false, std::to_string(n));
      node.finish_task(id, n, TaskState::kDone, Reason::kNone);
    }
    node.asked.clear();
  });
  const auto frames = frames_of(ask("GET", "/v1/jobs/abcdefghij/logs?follow=1&stream=both").body);
  EXPECT_EQ(text_of(frames, FrameKind::kStderr, 7), text);
  EXPECT_EQ(text_of(frames, FrameKind::kStdout, 8), "8");
  EXPECT_EQ(text_of(frames, FrameKind::kAttempt, 8), "o1e1");
  server.on_loop([&](FakeNode& node) {
    std::set<std::uint32_t> read;
    for (const client::Request& request : node.asked) {
      const auto* job = std::get_if<JobRequest>(&request);
      const auto* log = job == nullptr ? nullptr : std::get_if<ReadLog>(job);
      if (log != nullptr) read.insert(log->task);
    }
    EXPECT_EQ(read, std::set<std::uint32_t>{7});
  });
}

TEST_F(ApiTest, WhatWasReadWhileATaskRanIsNotSentAgainWithTheList) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-3")");
  RawClient client(server.socket);
  client.send("GET /v1/jobs/abcdefghij/logs?follow=1 HTTP/1.1\r\nConnection: close\r\n\r\n");
  const JobId id = id_of("abcdefghij");
  server.on_loop([&](FakeNode& node) { node.write_log(id, 2, false, "early "); });
  ASSERT_TRUE(client.read_until_text("early "));
  server.on_loop([&](FakeNode& node) {
    node.write_log(id, 2, false, "late");
    for (std::uint32_t n = 1; n <= 3; ++n) {
      node.finish_task(id, n, TaskState::kDone, Reason::kNone);
    }
  });
  ASSERT_TRUE(client.read_to_end());
  const auto frames = frames_of(taken_apart(client.received).body);
  EXPECT_EQ(text_of(frames, FrameKind::kStdout, 2), "early late");
  EXPECT_EQ(text_of(frames, FrameKind::kAttempt, 2), "o1");
}

TEST_F(ApiTest, ALogThatStaysUnreadableEndsTheStreamWithAnError) {
  submit("abcdefghij", R"(["true"])");
  server.on_loop([](FakeNode& node) {
    node.fault = [](const client::Request& request) -> std::optional<Error> {
      const auto* job = std::get_if<JobRequest>(&request);
      if (job == nullptr || !std::holds_alternative<ReadLog>(*job)) return std::nullopt;
      return Error{Code::kNotFound, "the log is gone", ""};
    };
  });
  const auto frames = frames_of(ask("GET", "/v1/jobs/abcdefghij/logs?follow=1&tasks=1").body);
  EXPECT_NE(text_of(frames, FrameKind::kError).find("the log is gone"), std::string::npos);
  EXPECT_EQ(frames.back().kind, FrameKind::kEnd);
}

TEST_F(ApiTest, RunSubmitsAndStreamsUntilTheEnd) {
  const Answered well = ask("POST", "/v1/run", submission("abcdefghij", R"(["echo","hello"])"));
  ASSERT_EQ(well.status, 200);
  const auto frames = frames_of(well.body);
  EXPECT_EQ(text_of(frames, FrameKind::kStdout), "hello\n");
  EXPECT_EQ(frames.back().kind, FrameKind::kEnd);
  EXPECT_TRUE(text_of(frames, FrameKind::kTask).empty());

  const Answered bad = ask("POST", "/v1/run", submission("bbcdefghij", R"(["exit","7"])"));
  const auto task = task_from_json(text_of(frames_of(bad.body), FrameKind::kTask));
  ASSERT_TRUE(task);
  EXPECT_EQ(task->exit_code, 7);
}

TEST_F(ApiTest, RunForTheSecondTimeIsTheSameJobAgainFromTheBeginning) {
  const std::string body = submission("abcdefghij", R"(["echo","once"])");
  (void)ask("POST", "/v1/run", body);
  const auto frames = frames_of(ask("POST", "/v1/run", body).body);
  EXPECT_EQ(text_of(frames, FrameKind::kStdout), "once\n");
  server.on_loop([](FakeNode& node) { EXPECT_EQ(node.jobs.size(), 1U); });
}

TEST_F(ApiTest, RunThatIsNotAcceptedIsAnErrorWithItsStatus) {
  server.on_loop([](FakeNode& node) {
    node.fault = [](const client::Request& request) -> std::optional<Error> {
      const auto* job = std::get_if<JobRequest>(&request);
      if (job == nullptr) return std::nullopt;
      return Error{Code::kTimeout, "no quorum: a, b are missing", "wait"};
    };
  });
  const Answered answered = ask("POST", "/v1/run", submission("abcdefghij", R"(["true"])"));
  EXPECT_EQ(answered.status, 504);
  EXPECT_EQ(error_from_json(answered.body).hint, "wait");
}

TEST_F(ApiTest, AWatcherOfManyJobsHearsOfEachAndOfThoseThatDoNotExist) {
  submit("abcdefghij", R"(["hang"])");
  submit("bbcdefghij", R"(["true"])");
  RawClient client(server.socket);
  const std::string body = R"({"jobs":["abcdefghij","bbcdefghij","zzzzzzzzzz"],"only_final":true})";
  client.send("POST /v1/watch HTTP/1.1\r\nConnection: close\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_TRUE(client.read_until_text("\"id\":\"zzzzzzzzzz\",\"goes_on\":false,\"error\""));
  ASSERT_TRUE(client.read_until_text("\"id\":\"bbcdefghij\""));
  EXPECT_EQ(client.received.find("\"id\":\"abcdefghij\""), std::string::npos);
  server.on_loop([](FakeNode& node) {
    node.finish_task(*JobId::from_text("abcdefghij"), 1, TaskState::kDone, Reason::kNone);
  });
  ASSERT_TRUE(client.read_to_end());
  EXPECT_NE(client.received.find("\"id\":\"abcdefghij\""), std::string::npos);
  EXPECT_EQ(ask("POST", "/v1/watch", R"({"jobs":[]})").status, 400);
  EXPECT_EQ(ask("POST", "/v1/watch", R"({"jobs":["x"]})").status, 400);
}

TEST_F(ApiTest, ListsAndReturnsOutputs) {
  submit("abcdefghij", R"(["hang"])", R"(,"array":"1-3")");
  server.on_loop([](FakeNode& node) {
    const Bytes first = to_bytes("first "), second = to_bytes("second");
    node.blobs[blob_id_of(first)] = first;
    node.blobs[blob_id_of(second)] = second;
    auto& tasks = node.jobs.at(*JobId::from_text("abcdefghij")).tasks;
    tasks[2].outputs = {
        {"dir/a file.txt", 12, 0600, {{blob_id_of(first), 6}, {blob_id_of(second), 6}}}};
    tasks[3].outputs = {{"empty", 0, 0644, {}}};
  });
  const auto outputs = outputs_from_json(ask("GET", "/v1/jobs/abcdefghij/outputs").body);
  ASSERT_TRUE(outputs);
  ASSERT_EQ(outputs->size(), 2U);
  EXPECT_EQ((*outputs)[0].task, 2U);
  EXPECT_EQ((*outputs)[0].name, "dir/a file.txt");
  EXPECT_EQ((*outputs)[0].mode, 0600U);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs?tasks=1").body, "[]\n");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs/2/dir%2Fa%20file.txt").body, "first second");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs/2/dir/a%20file.txt").body, "first second");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs/3/empty").body, "");
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs/3/none").status, 404);
  EXPECT_EQ(ask("GET", "/v1/jobs/abcdefghij/outputs/x/none").status, 400);
}

TEST_F(ApiTest, AnOutputWhoseRestIsMissingIsCutOffRatherThanEnded) {
  submit("abcdefghij", R"(["hang"])");
  server.on_loop([](FakeNode& node) {
    const Bytes first = to_bytes("first ");
    node.blobs[blob_id_of(first)] = first;
    node.jobs.at(*JobId::from_text("abcdefghij")).tasks[1].outputs = {
        {"a", 12, 0644, {{blob_id_of(first), 6}, {BlobId{{1}}, 6}}}};
  });
  RawClient client(server.socket);
  client.send("GET /v1/jobs/abcdefghij/outputs/1/a HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(client.read_to_end());
  EXPECT_EQ(client.received.find("\r\n0\r\n\r\n"), std::string::npos);
}

TEST_F(ApiTest, LeavingTellsItsProgressLineByLine) {
  const Answered answered = ask("POST", "/v1/leave", "{}");
  EXPECT_EQ(answered.status, 200);
  EXPECT_EQ(answered.body,
            "{\"progress\":\"groups: 3 left\"}\n{\"progress\":\"groups: none left\"}\n"
            "{\"done\":true}\n");
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(std::get<client::LeaveNode>(node.asked.back()).node, node.self);
    node.leave_error = Error{Code::kRefused, "blob x would be lost", "--now"};
  });
  const std::string refused = ask("POST", "/v1/leave", R"({"now":false})").body;
  EXPECT_NE(refused.find("blob x would be lost"), std::string::npos);
  server.on_loop([](FakeNode& node) { node.leave_progress.clear(); });
  EXPECT_EQ(ask("POST", "/v1/leave", "{}").status, 403);
  EXPECT_EQ(ask("POST", "/v1/leave", R"({"node":"x"})").status, 400);
}

TEST_F(ApiTest, MakesTokensAndStopsTheNode) {
  const auto token =
      token_from_json(ask("POST", "/v1/tokens", R"({"uses":3,"ttl_ms":60000})").body);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->token, "dunlin-token-3");
  EXPECT_EQ(ask("POST", "/v1/tokens", R"({"use":3})").status, 400);
  EXPECT_EQ(ask("POST", "/v1/down").status, 200);
  server.on_loop([](FakeNode& node) { EXPECT_TRUE(node.stopped); });
}

TEST_F(ApiTest, ATokenOfAUserIsNotCountedAndBelongsToSomebody) {
  const auto token =
      token_from_json(ask("POST", "/v1/tokens", R"({"role":"user","user":"ann"})").body);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->token, "dunlin-token-0");
  EXPECT_EQ(token->user, "ann");
  // Without a name it is the caller's, but nobody is root from elsewhere.
  const int own = ask("POST", "/v1/tokens", R"({"role":"user"})").status;
  EXPECT_EQ(own, geteuid() == 0 ? 400 : 200);
}

TEST_F(ApiTest, TokensAreListedWithoutTheirSecretsAndRevoked) {
  server.on_loop([](FakeNode& node) {
    node.tokens = {{TokenId{{1}}, "node", "", TokenState::kValid, {}, 3, 1},
                   {TokenId{{2}}, "user", "ann", TokenState::kExpired, {5}, 0, 0}};
  });
  const auto valid = tokens_from_json(ask("GET", "/v1/tokens").body);
  ASSERT_TRUE(valid);
  EXPECT_EQ(valid->tokens.size(), 1U);
  const std::string all = ask("GET", "/v1/tokens?all=1").body;
  EXPECT_NE(all.find("\"uses_left\":2"), std::string::npos) << all;
  EXPECT_NE(all.find("\"user\":\"ann\",\"state\":\"expired\""), std::string::npos) << all;
  const std::string first = "/v1/tokens/" + TokenId{{1}}.text() + "/revoke";
  EXPECT_EQ(ask("POST", first).status, 200);
  EXPECT_EQ(ask("GET", "/v1/tokens").body, "[]\n");
  EXPECT_EQ(ask("POST", "/v1/tokens/" + TokenId{{9}}.text() + "/revoke").status, 404);
  EXPECT_EQ(ask("POST", "/v1/tokens/short/revoke").status, 400);
  EXPECT_EQ(ask("GET", "/v1/tokens?al=1").status, 400);
}

TEST_F(ApiTest, WhatIsNotThereIsNamed) {
  EXPECT_EQ(ask("GET", "/").status, 404);
  EXPECT_EQ(ask("GET", "/v1/nodes/x").status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/nodes").status, 405);
  EXPECT_EQ(ask("GET", "/v1/jobs/%zz").status, 400);
}

TEST_F(ApiTest, ManyRequestsOnOneConnectionLeaveNothingBehind) {
  RawClient client(server.socket);
  for (int i = 0; i < 500; ++i) {
    client.received.clear();
    client.send("GET /v1/pick-group HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(client.read_until_text("group_count"));
  }
  server.on_loop([](FakeNode& node) { EXPECT_TRUE(node.gone.empty()); });
}

}  // namespace
}  // namespace dunlin
