#include "cli/terminal_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/assert.h"
#include "cli/report.h"

namespace dunlin {

namespace {

// The other screen, no cursor, no wrapping of long lines; and back.
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr const char* kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::array<int, 6> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};

winsize size_of_terminal() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

}  // namespace

TerminalScreen::TerminalScreen() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  ASSERT(signals_ >= 0);
  enter();
}

TerminalScreen::~TerminalScreen() {
  restore();
  ::close(signals_);
}

// Keys come one by one and unseen; Ctrl-C and Ctrl-Z are signals still.
void TerminalScreen::enter() {
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  (void)write_whole(STDOUT_FILENO, kEnter);
  is_entered_ = true;
}

void TerminalScreen::restore() {
  if (!is_entered_) return;
  is_entered_ = false;
  (void)write_whole(STDOUT_FILENO, kLeave);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

TerminalScreen::Event TerminalScreen::on_signal() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != sizeof info) return Event::kNothing;
  switch (info.ssi_signo) {
    case SIGWINCH: return Event::kResized;
    case SIGTSTP:
      restore();
      ::kill(getpid(), SIGSTOP);
      enter();
      return Event::kResized;
    default: return Event::kInterrupt;
  }
}

TerminalScreen::Event TerminalScreen::wait(int timeout_ms, int other) {
  std::array<pollfd, 3> waiting = {pollfd{signals_, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0},
                                   pollfd{other, POLLIN, 0}};
  if (::poll(waiting.data(), waiting.size(), timeout_ms) <= 0) return Event::kNothing;
  if (waiting[0].revents != 0) return on_signal();
  if (waiting[1].revents != 0)
    return ::read(STDIN_FILENO, &key_, 1) == 1 ? Event::kKey : Event::kEnd;
  return Event::kOther;
}

std::size_t TerminalScreen::width() const {
  const winsize size = size_of_terminal();
  return size.ws_col == 0 ? 80 : size.ws_col;
}

std::size_t TerminalScreen::height() const {
  const winsize size = size_of_terminal();
  return size.ws_row == 0 ? 24 : size.ws_row;
}

void TerminalScreen::draw(const std::vector<std::string>& lines) {
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
  }
  (void)write_whole(STDOUT_FILENO, text + "\x1b[J");
}

}  // namespace dunlin
