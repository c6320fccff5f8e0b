// A terminal taken over for a while: another screen, keys as they are pressed, and signals as
// events, so that whatever ends the program leaves the terminal as it was.
#pragma once

#include <termios.h>

#include <cstddef>
#include <string>
#include <vector>

namespace dunlin {

class TerminalScreen {
 public:
  enum class Event {
    kNothing,    // the time is over
    kKey,        // see key()
    kResized,    // or shown again after a stop: everything is to be drawn anew
    kInterrupt,  // INT, TERM, HUP, QUIT
    kEnd,        // stdin is at its end
    kOther,      // the descriptor that was waited for as well is readable
  };

  // stdin and stdout must be terminals. From now on the signals above come by wait() alone.
  TerminalScreen();
  ~TerminalScreen();
  TerminalScreen(const TerminalScreen&) = delete;
  TerminalScreen& operator=(const TerminalScreen&) = delete;

  // `other`: a further descriptor to wait for, or -1.
  Event wait(int timeout_ms, int other);
  char key() const { return key_; }
  // In characters; 80 x 24 where the terminal does not say.
  std::size_t width() const;
  std::size_t height() const;
  void draw(const std::vector<std::string>& lines);
  // As it was before; may be called more than once.
  void restore();

 private:
  void enter();
  Event on_signal();

  termios before_{};
  int signals_ = -1;
  bool is_entered_ = false;
  char key_ = 0;
};

}  // namespace dunlin
