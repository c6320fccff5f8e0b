#include "os/runner_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "os/clock.h"
#include "os/descriptor_limit.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kRetryMs = 1000;
constexpr std::size_t kReadSize = 256 * 1024;
constexpr int kReadsPerTurn = 8;
constexpr std::size_t kMaxStatusText = 4096;
// Said and not yet read by the runner, which may be stopped. What is lost beyond it shows when the
// runner next lists what it holds.
constexpr std::size_t kMaxUnread = 64 * 1024 * 1024;
constexpr timeval kLastWordsLimit{1, 0};
constexpr std::int64_t kLongestPauseMs = 2000;  // between keep-alives

// 0: not known.
pid_t peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

// One that was stopped (SIGSTOP) would be silent for ever, and hold up all tasks of the host; along
// with a node process that has died since, nobody else is left to continue it.
void continue_peer(int socket) {
  const pid_t peer = peer_of(socket);
  if (peer > 0) ::kill(peer, SIGCONT);
}

}  // namespace

RunnerLink::RunnerLink(uv_loop_t* loop, RunnerOptions options, Listener listener)
    : loop_(loop), options_(std::move(options)), listener_(std::move(listener)) {}

RunnerLink::~RunnerLink() {
  ASSERT(is_closed());
}

template <class Handle>
void RunnerLink::close_handle(Handle*& handle) {
  if (handle == nullptr) return;
  // The loop calls back at the end of its turn; only then may the handle's memory go.
  uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
    --static_cast<RunnerLink*>(closed->data)->handles_;
    delete reinterpret_cast<Handle*>(closed);
  });
  handle = nullptr;
}

void RunnerLink::open() {
  ASSERT(!is_open_);
  is_open_ = true;
  timer_ = new uv_timer_t;
  uv_timer_init(loop_, timer_);
  timer_->data = this;
  prepare_ = new uv_prepare_t;
  uv_prepare_init(loop_, prepare_);
  prepare_->data = this;
  uv_prepare_start(prepare_, on_prepare);
  idle_ = new uv_idle_t;
  uv_idle_init(loop_, idle_);
  idle_->data = this;
  handles_ += 3;
  seek();
}

void RunnerLink::close() {
  if (!is_open_) return;
  flush();
  if (socket_ >= 0 && out_sent_ < out_.size()) {
    // The last command may be to end everything: worth a moment of waiting for a busy runner.
    fcntl(socket_, F_SETFL, 0);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kLastWordsLimit, sizeof kLastWordsLimit);
    flush();
  }
  is_open_ = false;
  detach();
  stop_status();
  close_handle(timer_);
  close_handle(prepare_);
  close_handle(idle_);
}

void RunnerLink::problem(const std::string& text) {
  listener_.on_problem(text);
  if (is_open_) uv_timer_start(timer_, on_timer, kRetryMs, 0);
}

// ---- finding or starting a runner ---------------------------------------------------------------

void RunnerLink::seek() {
  const auto socket = connect_to(options_.directory, kRunnerSocket);
  if (socket) return attach(*socket);
  if (socket.error().code != Code::kNotFound) return problem(socket.error().message);
  if (was_connected_) {
    was_connected_ = false;
    is_silent_ = false;
    listener_.on_lost();
  }
  if (is_open_) start_runner();
}

void RunnerLink::start_runner() {
  int status[2];
  if (pipe2(status, O_CLOEXEC) != 0) return problem("cannot start the runner: no descriptors left");
  // The runner's end crosses exec; far from 0-2, which the runner makes its own.
  const int passed = fcntl(status[1], F_DUPFD, 10);
  ::close(status[1]);
  std::vector<std::string> words = {
      "dunlin",          "runner",
      "--dir",           options_.directory,
      "--status-fd",     std::to_string(passed),
      "--unattended-ms", std::to_string(options_.unattended.milliseconds())};
  if (!options_.run_as.empty()) words.insert(words.end(), {"--run-as", options_.run_as});
  if (!options_.may_pin) words.emplace_back("--no-pin");
  if (!options_.may_use_cgroups) words.emplace_back("--no-cgroups");
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int error = 0;
  {
    const OriginalDescriptorLimit for_tasks;
    error =
        posix_spawn(&starter_, options_.program.c_str(), nullptr, nullptr, argv.data(), environ);
  }
  ::close(passed);
  if (error != 0) {
    ::close(status[0]);
    return problem("cannot start the runner: " + options_.program + ": " + strerror(error));
  }
  status_ = status[0];
  fcntl(status_, F_SETFL, O_NONBLOCK);
  status_text_.clear();
  status_poll_ = new uv_poll_t;
  uv_poll_init(loop_, status_poll_, status_);
  status_poll_->data = this;
  ++handles_;
  uv_poll_start(status_poll_, UV_READABLE | UV_DISCONNECT, [](uv_poll_t* poll, int, int) {
    static_cast<RunnerLink*>(poll->data)->on_status();
  });
}

void RunnerLink::stop_status() {
  if (status_ < 0) return;
  uv_poll_stop(status_poll_);
  close_handle(status_poll_);
  ::close(status_);
  status_ = -1;
  // It forks the runner and exits, long before this; a zombie would stay otherwise.
  waitpid(starter_, nullptr, 0);
}

void RunnerLink::on_status() {
  char text[512];
  const ssize_t count = read(status_, text, sizeof text);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0 && status_text_.size() < kMaxStatusText) {
    status_text_.append(text, static_cast<std::size_t>(count));
    return;
  }
  stop_status();
  if (status_text_ == "ok") return seek();
  problem("cannot start the runner: " +
          (status_text_.empty() ? "it ended without a word" : status_text_));
}

// ---- the connection -----------------------------------------------------------------------------

void RunnerLink::attach(int fd) {
  socket_ = fd;
  continue_peer(socket_);
  was_connected_ = true;
  has_heard_ = answers_ = false;
  in_ = {};
  out_.clear();
  out_sent_ = 0;
  waits_to_write_ = false;
  read_buffer_.resize(kReadSize);
  socket_poll_ = new uv_poll_t;
  uv_poll_init(loop_, socket_poll_, socket_);
  socket_poll_->data = this;
  ++handles_;
  watch_socket();
  send(RunnerHello{kRunnerProtocol, true});
  unanswered_since_ = monotonic_now();
  // Often enough that two lost turns of a busy loop do no harm.
  const std::int64_t longest = std::min({options_.unattended.milliseconds() / 4,
                                         options_.patience.milliseconds() / 2, kLongestPauseMs});
  const auto pause = static_cast<std::uint64_t>(std::max<std::int64_t>(longest, 1));
  uv_timer_start(timer_, on_timer, pause, pause);
}

void RunnerLink::watch_socket() {
  uv_poll_start(socket_poll_, UV_READABLE | (waits_to_write_ ? UV_WRITABLE : 0),
                [](uv_poll_t* poll, int, int events) {
                  static_cast<RunnerLink*>(poll->data)->on_events(events);
                });
}

void RunnerLink::detach() {
  if (socket_ < 0) return;
  uv_poll_stop(socket_poll_);
  close_handle(socket_poll_);
  ::close(socket_);
  socket_ = -1;
  out_.clear();
  out_sent_ = 0;
  if (!is_open_) return;
  uv_timer_stop(timer_);
}

// Whether the runner is dead, or merely dropped us, is told by whether it can be reached again.
void RunnerLink::on_lost_connection() {
  detach();
  if (has_heard_) return seek();
  problem("the runner closes the connection without a word");
}

void RunnerLink::on_timer(uv_timer_t* timer) {
  auto* link = static_cast<RunnerLink*>(timer->data);
  if (link->socket_ >= 0) return link->keep_alive();
  if (link->status_ < 0) link->seek();
}

void RunnerLink::keep_alive() {
  // Where this process was stopped itself, the answer has come already.
  read_some();
  if (socket_ < 0) return;
  send(RunnerKeepAlive{});
  if (socket_ < 0) return;
  const Instant now = monotonic_now();
  if (answers_) unanswered_since_ = std::min(unanswered_since_, now);
  if (unanswered_since_ == Instant::never() || now < unanswered_since_ + options_.patience) return;
  continue_peer(socket_);
  if (std::exchange(is_silent_, true)) return;
  listener_.on_silence(true);
  listener_.on_problem("the runner (process " + std::to_string(peer_of(socket_)) +
                       ") does not answer: it is stopped, or hangs; it is told to continue");
}

void RunnerLink::heard() {
  has_heard_ = true;
  unanswered_since_ = Instant::never();
  if (std::exchange(is_silent_, false)) listener_.on_silence(false);
}

void RunnerLink::on_prepare(uv_prepare_t* prepare) {
  auto* link = static_cast<RunnerLink*>(prepare->data);
  uv_idle_stop(link->idle_);
  link->listener_.on_pause();
  if (link->is_open_ && !link->waits_to_write_) link->flush();
}

void RunnerLink::on_events(int events) {
  if ((events & UV_WRITABLE) != 0) {
    waits_to_write_ = false;
    watch_socket();
    flush();
  }
  if (events == 0 || (events & UV_READABLE) != 0) read_some();
}

void RunnerLink::read_some() {
  for (int i = 0; i < kReadsPerTurn && socket_ >= 0; ++i) {
    const ssize_t count = recv(socket_, read_buffer_.data(), read_buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (count <= 0) return on_lost_connection();
    in_.append(ByteView(read_buffer_.data(), static_cast<std::size_t>(count)));
    for (;;) {
      const auto frame = in_.next();
      if (frame && !*frame) break;
      auto report = frame ? decode<RunnerReport>(**frame) : tl::unexpected(frame.error());
      if (!report) {
        detach();
        return problem("the runner sent what cannot be read; connecting again");
      }
      heard();
      if (const auto* list = std::get_if<RunnerList>(&*report)) answers_ = list->answers;
      listener_.on_report(std::move(*report));
      if (socket_ < 0) return;
    }
    if (static_cast<std::size_t>(count) < read_buffer_.size()) break;
  }
  listener_.on_pause();
}

void RunnerLink::wake() {
  if (is_open_) uv_idle_start(idle_, [](uv_idle_t*) {});
}

void RunnerLink::send(const RunnerCommand& command) {
  if (socket_ < 0) return;
  if (out_.size() - out_sent_ > kMaxUnread) {
    detach();
    return problem("the runner does not read what it is told; connecting again");
  }
  append_frame(out_, command);
  wake();
}

void RunnerLink::flush() {
  while (socket_ >= 0 && out_sent_ < out_.size()) {
    const ssize_t count =
        ::send(socket_, out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      // A dead connection shows when reading.
      waits_to_write_ = errno == EAGAIN;
      if (waits_to_write_) watch_socket();
      return;
    }
    out_sent_ += static_cast<std::size_t>(count);
  }
  out_.clear();
  out_sent_ = 0;
}

}  // namespace dunlin
