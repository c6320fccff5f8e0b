#include "cli/shipping.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "base/crypto.h"
#include "base/inner_path.h"
#include "cli/directories.h"
#include "cli/file_text.h"
#include "cli/ignore_rules.h"
#include "cli/report.h"
#include "os/file_descriptor.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::size_t kPiecesInFlight = 4;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxIgnoreFile = 1024 * 1024;

bool exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

// PATH:NAME, unless a file of that whole name exists.
std::pair<std::string, std::string> path_and_name(const std::string& argument) {
  const std::size_t colon = argument.rfind(':');
  if (colon == std::string::npos || colon == 0 || exists(argument)) return {argument, ""};
  return {argument.substr(0, colon), argument.substr(colon + 1)};
}

tl::unexpected<Error> bad_name(const std::string& name) {
  return fail(Code::kUsage, "'" + name + "' is no name within a task's directory",
              "give a relative one without '..'");
}

bool has_content(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char first = 0;
  return fd.get() >= 0 && ::read(fd.get(), &first, 1) == 1;
}

std::vector<std::string> sorted_names(DIR* directory) {
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class DirectoryWalk {
 public:
  DirectoryWalk(std::string root, std::string prefix)
      : root_(std::move(root)),
        prefix_(std::move(prefix)),
        rules_(first_of_file(root_ + "/.dunlinignore", kMaxIgnoreFile).value_or("")) {}

  Result<void> walk(const std::string& below, int depth) {
    const std::string here = below.empty() ? root_ : root_ + "/" + below;
    if (depth > kMaxDepth) return fail(Code::kLimit, here + " lies too deep to be shipped");
    DIR* directory = opendir(here.c_str());
    if (directory == nullptr) {
      return fail(errno == ENOENT ? Code::kNotFound : Code::kUsage,
                  here + ": " + std::strerror(errno));
    }
    const std::vector<std::string> names = sorted_names(directory);
    closedir(directory);
    if (names.empty() && depth > 0) note("dunlin: " + here + " is not shipped: it is empty");
    for (const std::string& name : names) {
      std::string path = below;
      path.append(below.empty() ? "" : "/").append(name);
      Result<void> fine = visit(path, depth);
      if (!fine) return fine;
    }
    return {};
  }

  std::vector<LocalFile> files;

 private:
  Result<void> visit(const std::string& path, int depth) {
    const std::string whole = root_ + "/" + path;
    struct stat status {};
    if (lstat(whole.c_str(), &status) != 0) return {};  // gone meanwhile
    if (rules_.ignores(path, S_ISDIR(status.st_mode))) return {};
    if (S_ISDIR(status.st_mode)) return walk(path, depth + 1);
    // A link is shipped as what it points to; one to a directory could lead round in circles.
    if (S_ISLNK(status.st_mode) && stat(whole.c_str(), &status) != 0) status.st_mode = 0;
    if (!S_ISREG(status.st_mode)) {
      note("dunlin: " + whole + " is not shipped: it is no regular file");
      return {};
    }
    files.push_back({whole, prefix_ + path, static_cast<std::uint32_t>(status.st_mode & 0777),
                     static_cast<std::uint64_t>(status.st_size)});
    if (files.size() <= kMaxShippedFiles) return {};
    return fail(Code::kLimit,
                root_ + " holds more than " + std::to_string(kMaxShippedFiles) + " files",
                "leave some out with .dunlinignore, or ship an archive");
  }

  std::string root_;
  std::string prefix_;
  IgnoreRules rules_;
};

// Reads the files piece by piece, in order, as the node takes them.
class PieceReader {
 public:
  explicit PieceReader(const std::vector<LocalFile>& files) : files_(files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::uint64_t pieces = (files[i].size + kPieceSize - 1) / kPieceSize;
      for (std::uint64_t k = 0; k < pieces; ++k) pieces_.push_back({i, k});
    }
  }

  Result<bool> next(std::string& body) {
    if (at_ == pieces_.size()) return false;
    const auto [index, piece] = pieces_[at_++];
    const LocalFile& file = files_[index];
    if (open_index_ != index || fd_.get() < 0) {
      fd_ = FileDescriptor(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
      open_index_ = index;
    }
    if (fd_.get() < 0) {
      return fail(Code::kUsage, file.path + ": " + std::strerror(errno));
    }
    const std::uint64_t offset = piece * kPieceSize;
    body.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceSize, file.size - offset)));
    std::size_t filled = 0;
    while (filled < body.size()) {
      const ssize_t count = pread(fd_.get(), body.data() + filled, body.size() - filled,
                                  static_cast<off_t>(offset + filled));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return fail(Code::kConflict, file.path + " changed while it was read");
      filled += static_cast<std::size_t>(count);
    }
    return true;
  }

  std::pair<std::size_t, std::uint64_t> place_of(std::size_t number) const {
    return pieces_[number];
  }

 private:
  const std::vector<LocalFile>& files_;
  std::vector<std::pair<std::size_t, std::uint64_t>> pieces_;
  std::size_t at_ = 0;
  FileDescriptor fd_;
  std::size_t open_index_ = 0;
};

}  // namespace

Result<LocalFile> local_file(const std::string& argument, const std::string& option) {
  const auto [path, name] = path_and_name(argument);
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    return fail(errno == ENOENT ? Code::kNotFound : Code::kUsage,
                option + " " + path + ": " + std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(Code::kUsage, option + " " + path + " is a directory", "use --dir " + path);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(Code::kUsage, option + " " + path + " is no regular file");
  }
  LocalFile file{path, name.empty() ? last_part(path) : name,
                 static_cast<std::uint32_t>(status.st_mode & 0777),
                 static_cast<std::uint64_t>(status.st_size)};
  if (!is_inner_path(file.name)) return bad_name(file.name);
  if (file.size == 0 && has_content(path)) {
    return fail(Code::kUsage, option + " " + path + " does not tell its size",
                "ship a copy of it, as those of /proc need");
  }
  return file;
}

Result<std::vector<LocalFile>> local_directory(const std::string& argument) {
  const auto [path, name] = path_and_name(argument);
  if (!name.empty() && !is_inner_path(name)) return bad_name(name);
  DirectoryWalk found(path, name.empty() ? "" : name + "/");
  if (const Result<void> fine = found.walk("", 0); !fine) {
    return fail(fine.error().code, "--dir " + fine.error().message, fine.error().hint);
  }
  return std::move(found.files);
}

Result<void> check_names(const std::vector<LocalFile>& files) {
  std::set<std::string> names;
  std::uint64_t bytes = 0;
  for (const LocalFile& file : files) {
    bytes += file.size;
    if (!names.insert(file.name).second) {
      return fail(Code::kUsage, "two files would be called '" + file.name + "' in the task",
                  "give one another name: --file PATH:NAME");
    }
  }
  for (const std::string& name : names) {
    for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
      if (!names.contains(name.substr(0, at))) continue;
      return fail(Code::kUsage,
                  "'" + name.substr(0, at) + "' would be both a file and a directory in the task");
    }
  }
  if (bytes > kMaxShippedBytes) {
    return fail(Code::kLimit, "the job's files are over the limit of 64 GiB");
  }
  return {};
}

Result<std::vector<ShippedFile>> ship(const PutBlobs& put, const std::vector<LocalFile>& files) {
  std::vector<ShippedFile> shipped;
  for (const LocalFile& file : files) {
    const auto pieces = static_cast<std::size_t>((file.size + kPieceSize - 1) / kPieceSize);
    shipped.push_back({file.name, file.mode, file.size, std::vector<BlobRef>(pieces)});
  }
  PieceReader reader(files);
  const Result<void> fine = put([&](std::string& body) { return reader.next(body); },
                                [&](std::size_t number, const BlobRef& blob) {
                                  const auto [index, piece] = reader.place_of(number);
                                  shipped[index].content[static_cast<std::size_t>(piece)] = blob;
                                });
  if (!fine) return tl::unexpected(fine.error());
  return shipped;
}

PutBlobs into_cluster(Client& client) {
  return [&client](const ParallelCalls::NextBody& next, const TakeBlob& take) {
    return ParallelCalls(client, "PUT", "/v1/blobs", kPiecesInFlight)
        .run(next, [&](std::size_t number, const HttpAnswer& answer) -> Result<void> {
          const auto blob = blob_from_json(answer.body);
          if (!blob) return tl::unexpected(blob.error());
          take(number, *blob);
          return {};
        });
  };
}

PutBlobs only_named() {
  return [](const ParallelCalls::NextBody& next, const TakeBlob& take) -> Result<void> {
    initialise_crypto();
    std::string body;
    for (std::size_t number = 0;; ++number) {
      const auto more = next(body);
      if (!more) return tl::unexpected(more.error());
      if (!*more) return {};
      take(number, {blob_id_of(as_bytes(body)), static_cast<std::uint32_t>(body.size())});
    }
  };
}

}  // namespace dunlin
