// Runs the command line as a shell would, in a process of its own, against a fake node.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "os/api_server.h"

namespace dunlin {

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

// What is unusual about its stdout.
struct Stdout {
  const char* path = nullptr;  // this file, not a pipe that is read
  bool is_nonblocking = false;
  bool is_closed = false;
};

// A command that has been started and not yet ended.
class Running {
 public:
  Running(std::vector<std::string> args, const std::string& directory,
          const std::map<std::string, std::string>& environment, Stdout to = {}) {
    int in[2], out[2], err[2];
    EXPECT_EQ(pipe(in) + pipe(out) + pipe(err), 0);
    if (to.is_nonblocking) fcntl(out[1], F_SETFL, O_NONBLOCK);
    args.insert(args.begin(), "dunlin");
    const std::vector<char*> argv = pointers(args);
    std::vector<std::string> variables = environment_with(environment);
    const std::vector<char*> envp = pointers(variables);
    // This process has threads: the child may not so much as allocate before it is a new program.
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(to.path == nullptr ? out[1] : ::open(to.path, O_WRONLY), 1);
      dup2(err[1], 2);
      for (const int fd : {in[0], in[1], out[0], out[1], err[0], err[1]}) close(fd);
      if (to.is_closed) close(1);
      std::signal(SIGPIPE, SIG_DFL);
      if (chdir(directory.c_str()) != 0) _exit(99);
      execve("/proc/self/exe", argv.data(), envp.data());
      _exit(98);
    }
    for (const int fd : {out[1], err[1]}) close(fd);
    in_fds_ = {in[0], in[1]};
    out_fd_ = out[0];
    err_fd_ = err[0];
  }
  ~Running() {
    if (pid_ > 0) (void)end();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // All that there is on its stdin, whether or not it lives to read it. Once.
  void give(const std::string& input) {
    EXPECT_EQ(::write(in_fds_[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    for (const int fd : in_fds_) close(fd);
  }
  // A part of what is to be given.
  void feed(const std::string& input) {
    EXPECT_EQ(::write(in_fds_[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
  }
  void interrupt(int signal = SIGINT) { kill(pid_, signal); }
  void stop_reading() {
    close(out_fd_);
    out_fd_ = -1;
  }
  // Until this is in its output, or in what it complains about.
  bool says(const std::string& text) {
    while ((ran_.out + ran_.err).find(text) == std::string::npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  // Waits for its end; one that neither speaks nor ends is killed.
  Ran end() {
    while (read_some()) {
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() < until && out_ended() && err_ended_) {
        poll(nullptr, 0, 1);
        continue;
      }
      ADD_FAILURE() << "it does not end; so far: " << ran_.out << ran_.err;
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      break;
    }
    pid_ = -1;
    ran_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (out_fd_ >= 0) close(out_fd_);
    close(err_fd_);
    return ran_;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
  }
  // This process's, but for what is given.
  static std::vector<std::string> environment_with(
      const std::map<std::string, std::string>& given) {
    std::vector<std::string> variables;
    for (char** at = environ; *at != nullptr; ++at) {
      const std::string variable = *at;
      if (!given.contains(variable.substr(0, variable.find('=')))) variables.push_back(variable);
    }
    for (const auto& [name, value] : given) variables.push_back(name + "=" + value);
    return variables;
  }

  // False at the end of both streams, or when nothing came for twenty seconds.
  bool read_some() {
    std::array<pollfd, 2> waiting = {pollfd{out_ended_ ? -1 : out_fd_, POLLIN, 0},
                                     pollfd{err_ended_ ? -1 : err_fd_, POLLIN, 0}};
    if (waiting[0].fd < 0 && waiting[1].fd < 0) return false;
    if (poll(waiting.data(), 2, 20'000) <= 0) return false;
    for (const bool is_err : {false, true}) {
      const pollfd& fd = waiting[is_err ? 1 : 0];
      if (fd.revents == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t count = ::read(fd.fd, buffer.data(), buffer.size());
      if (count <= 0) {
        (is_err ? err_ended_ : out_ended_) = true;
      } else {
        (is_err ? ran_.err : ran_.out).append(buffer.data(), static_cast<std::size_t>(count));
      }
    }
    return true;
  }

  bool out_ended() const { return out_ended_ || out_fd_ < 0; }

  pid_t pid_ = -1;
  std::array<int, 2> in_fds_{-1, -1};
  int out_fd_ = -1;
  int err_fd_ = -1;
  bool out_ended_ = false;
  bool err_ended_ = false;
  Ran ran_;
};

class Shell : public ::testing::Test {
 protected:
  Shell() {
    environment["DUNLIN_SERVER"] = server.socket;
    environment["HOME"] = files.path();
    environment["DUNLIN_DIR"] = "";
  }

  std::unique_ptr<Running> start(std::vector<std::string> args, const std::string& input = {},
                                 Stdout to = {}) {
    auto started = std::make_unique<Running>(std::move(args), files.path(), environment, to);
    started->give(input);
    return started;
  }
  // Its stdin has not ended: it is to be given what it reads.
  std::unique_ptr<Running> start_open(std::vector<std::string> args) {
    return std::make_unique<Running>(std::move(args), files.path(), environment);
  }
  Ran run(std::vector<std::string> args, const std::string& input = {}, Stdout to = {}) {
    return start(std::move(args), input, to)->end();
  }
  // The id that `submit` printed.
  std::string submit(std::vector<std::string> args) {
    args.insert(args.begin(), "submit");
    const Ran ran = run(std::move(args));
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out.substr(0, ran.out.find('\n'));
  }
  JobSpec spec_of(const std::string& id) {
    JobSpec spec;
    server.on_loop([&](FakeNode& node) {
      const auto at = node.jobs.find(JobId::from_text(id).value_or(JobId{}));
      if (at != node.jobs.end()) spec = at->second.submission.spec;
    });
    return spec;
  }
  // Of the one job there is, once there is one.
  JobId only_job() {
    JobId id;
    EXPECT_TRUE(server.wait_until([&](FakeNode& node) {
      if (node.jobs.size() == 1) id = node.jobs.begin()->first;
      return !id.is_none() && node.watching() > 0;
    }));
    return id;
  }
  void write_file(const std::string& name, const std::string& content, unsigned mode = 0644) {
    std::ofstream(files / name, std::ios::binary) << content;
    chmod((files / name).c_str(), mode);
  }
  std::string blob(const BlobRef& ref) {
    std::string content;
    server.on_loop([&](FakeNode& node) { content = to_text(node.blobs.at(ref.id)); });
    return content;
  }

  ApiServer server;
  TemporaryDirectory files;
  std::map<std::string, std::string> environment;
};

}  // namespace dunlin
