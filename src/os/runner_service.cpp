#include "os/runner_service.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "os/clock.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxConnections = 8;
// Encoded and not yet written; what is beyond it stays with the streams.
constexpr std::size_t kMaxPending = 256 * 1024;
// That a process was started is told with the next thing that is worth a write, or after this.
constexpr Duration kLazyFlush = milliseconds(2);
// Without a node and without processes.
constexpr Duration kIdleLinger = seconds(1);
constexpr Duration kKillLimit = seconds(10);

void watch_socket(int epoll_fd, int operation, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(fd);
  epoll_ctl(epoll_fd, operation, fd, &event);
}

}  // namespace

RunnerService::RunnerService(int listener, Duration unattended, HeldOptions options)
    : listener_(listener),
      unattended_(unattended),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      held_(epoll_fd_, std::move(options)),
      node_(connections_.end()),
      heard_at_(monotonic_now()) {
  watch_socket(epoll_fd_, EPOLL_CTL_ADD, listener_, EPOLLIN);
}

RunnerService::~RunnerService() {
  for (const Connection& connection : connections_) close(connection.fd);
  close(listener_);
  close(epoll_fd_);
}

void RunnerService::run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    Instant now = monotonic_now();
    const int count =
        epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout(now));
    now = monotonic_now();
    for (int i = 0; i < count; ++i) {
      const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
      if (data >> 32 != 0) {
        held_.on_event(now, data);
      } else if (data == static_cast<std::uint64_t>(listener_)) {
        accept_nodes(now);
      } else {
        on_socket(data, events[static_cast<std::size_t>(i)].events, now);
      }
    }
    if (held_.next_deadline() <= now) held_.tick(now);
    flush(now);
    if (is_over(now)) break;
  }
  held_.kill_all(kKillLimit);
}

bool RunnerService::is_called() const {
  pollfd waiting{listener_, POLLIN, 0};
  return poll(&waiting, 1, 0) > 0;
}

bool RunnerService::is_over(Instant now) const {
  if (is_told_to_stop_ || now >= heard_at_ + unattended_) return true;
  const bool is_alone = node_ == connections_.end() && held_.is_empty();
  return is_alone && now >= heard_at_ + std::min(kIdleLinger, unattended_);
}

int RunnerService::timeout(Instant now) const {
  Instant next = std::min(held_.next_deadline(), heard_at_ + unattended_);
  next = std::min(next, flush_at_);
  if (node_ == connections_.end() && held_.is_empty()) {
    next = std::min(next, heard_at_ + kIdleLinger);
  }
  if (next <= now) return 0;
  // Rounded up: an early wake would only turn the loop once more.
  return static_cast<int>(std::min<std::int64_t>((next - now).milliseconds() + 1, 1'000'000));
}

void RunnerService::accept_nodes(Instant now) {
  int fd;
  while ((fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    if (!peer_is_trusted(fd)) {
      close(fd);
      continue;
    }
    if (connections_.size() >= kMaxConnections) {
      const auto oldest = connections_.begin() == node_ ? std::next(node_) : connections_.begin();
      drop(oldest, now);
    }
    connections_.emplace_back().fd = fd;
    watch_socket(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

void RunnerService::drop(Connections::iterator connection, Instant now) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, connection->fd, nullptr);
  close(connection->fd);
  if (connection == node_) {
    node_ = connections_.end();
    heard_at_ = now;
  }
  connections_.erase(connection);
}

void RunnerService::on_socket(std::uint64_t fd, std::uint32_t events, Instant now) {
  const auto connection = std::find_if(
      connections_.begin(), connections_.end(),
      [&](const Connection& each) { return static_cast<std::uint64_t>(each.fd) == fd; });
  if (connection == connections_.end()) return;
  if ((events & EPOLLOUT) != 0 && connection->waits_to_write) {
    connection->waits_to_write = false;
    watch_socket(epoll_fd_, EPOLL_CTL_MOD, connection->fd, EPOLLIN);
  }
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
  if (!read_from(connection, now)) drop(connection, now);
}

// False when it is to be dropped: the other side has gone, or talks nonsense.
bool RunnerService::read_from(Connections::iterator connection, Instant now) {
  std::array<std::uint8_t, 64 * 1024> buffer;
  const ssize_t count = recv(connection->fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  connection->in.append(ByteView(buffer.data(), static_cast<std::size_t>(count)));
  for (;;) {
    const auto frame = connection->in.next();
    if (!frame) return false;
    if (!*frame) return true;
    auto command = decode<RunnerCommand>(**frame);
    if (!command || !perform(connection, std::move(*command), now)) return false;
  }
}

bool RunnerService::perform(Connections::iterator connection, RunnerCommand command, Instant now) {
  if (const auto* hello = std::get_if<RunnerHello>(&command)) {
    connection->knows_answers = hello->knows_answers;
    if (node_ != connections_.end() && node_ != connection) drop(node_, now);
    node_ = connection;
    heard_at_ = now;
    connection->out.clear();
    connection->out_sent = 0;
    held_.list(connection->out);
    return true;
  }
  if (connection != node_) return false;
  heard_at_ = now;
  if (auto* start = std::get_if<RunnerStart>(&command)) {
    held_.start(now, std::move(*start));
  } else if (const auto* signal = std::get_if<RunnerSignal>(&command)) {
    held_.signal(signal->key, signal->signal);
  } else if (const auto* taken = std::get_if<RunnerTaken>(&command)) {
    held_.take(taken->key, taken->is_stderr, taken->up_to);
  } else if (const auto* release = std::get_if<RunnerRelease>(&command)) {
    held_.release(release->key);
  } else if (std::holds_alternative<RunnerShutdown>(command)) {
    is_told_to_stop_ = true;
  } else if (std::holds_alternative<RunnerKeepAlive>(command) && connection->knows_answers) {
    append_frame(connection->out, RunnerReport(RunnerAlive{}));
  }
  return true;
}

// One write for all that this turn brought.
void RunnerService::flush(Instant now) {
  if (node_ == connections_.end()) {
    flush_at_ = Instant::never();
    return;
  }
  if (node_->waits_to_write) return;
  const bool has_frames = node_->out_sent < node_->out.size();
  if (!has_frames && held_.has_reports() && !held_.is_urgent() && now < flush_at_) {
    if (flush_at_ == Instant::never()) flush_at_ = now + kLazyFlush;
    return;
  }
  flush_at_ = Instant::never();
  while (has_frames || held_.has_reports()) {
    held_.fill(node_->out, kMaxPending);
    if (!send_some()) break;
    if (!held_.has_reports()) break;
  }
}

// True when all was written. An error shows again when reading, where the connection is dropped.
bool RunnerService::send_some() {
  Connection& node = *node_;
  while (node.out_sent < node.out.size()) {
    const ssize_t count = send(node.fd, node.out.data() + node.out_sent,
                               node.out.size() - node.out_sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      node.waits_to_write = true;
      watch_socket(epoll_fd_, EPOLL_CTL_MOD, node.fd, EPOLLIN | EPOLLOUT);
      return false;
    }
    node.out_sent += static_cast<std::size_t>(count);
  }
  node.out.clear();
  node.out_sent = 0;
  if (node.out.capacity() > kMaxPending) Bytes().swap(node.out);
  return true;
}

}  // namespace dunlin
