#include "os/account.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

namespace dunlin {

namespace {

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* value = getenv(name);
  return value != nullptr ? value : otherwise;
}

}  // namespace

Environment account_environment(const std::string& user) {
  const passwd* entry = user.empty() ? getpwuid(geteuid()) : getpwnam(user.c_str());
  Environment environment;
  environment.emplace_back(
      "PATH",
      from_environment("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  // An account without an entry, as in some containers.
  environment.emplace_back("HOME",
                           entry != nullptr ? entry->pw_dir : from_environment("HOME", "/"));
  environment.emplace_back("USER",
                           entry != nullptr ? entry->pw_name : from_environment("USER", "nobody"));
  const bool has_shell = entry != nullptr && entry->pw_shell[0] != '\0';
  environment.emplace_back("SHELL", has_shell ? entry->pw_shell : "/bin/sh");
  for (const char* name : {"LANG", "TZ"}) {
    if (const char* value = getenv(name)) environment.emplace_back(name, value);
  }
  return environment;
}

Result<FileOwner> owner_for(const std::string& user) {
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) return fail(Code::kNotFound, "there is no user " + user + " to run as");
  return FileOwner{entry->pw_uid, entry->pw_gid};
}

Result<FileOwner> owner_of_tasks(const std::string& user) {
  const FileOwner self{geteuid(), getegid()};
  if (user.empty()) return self;
  Result<FileOwner> owner = owner_for(user);
  if (!owner) return fail(Code::kUsage, owner.error().message, "--run-as takes an account's name");
  if (self.uid != 0 && owner->uid != self.uid) {
    return fail(Code::kRefused, "only root can run tasks as " + user,
                "start the node as root, or without --run-as");
  }
  return owner;
}

}  // namespace dunlin
