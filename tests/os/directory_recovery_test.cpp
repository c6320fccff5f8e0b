#include "os/directory_recovery.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "node/setup.h"
#include "os/chance.h"
#include "os/join_token_file.h"
#include "os/temporary_directory.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

NodeOptions options_of(const TemporaryDirectory& directory) {
  NodeOptions options;
  options.dir = directory / "node";
  return options;
}

IdentityFile identity_with(std::vector<std::string> peers) {
  IdentityFile identity;
  identity.seed = secret_key();
  identity.key_ring.keys = {{std::uint8_t{1}, secret_key()}};
  identity.peers = std::move(peers);
  return identity;
}

// A directory whose log is gone, as far as what lies beside it can tell.
void leave_without_log(const std::string& directory, const IdentityFile& identity) {
  fs::create_directories(directory);
  ASSERT_TRUE(write_identity(directory, identity));
}

TEST(IdentityFile, ComesBackAsWritten) {
  const TemporaryDirectory directory;
  fs::create_directories(directory / "node");
  IdentityFile written = identity_with({"10.0.0.1:7400", "10.0.0.2:7400"});
  written.successor = secret_key();
  ASSERT_TRUE(write_identity(directory / "node", written));
  const auto read = read_identity(directory / "node");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->seed, written.seed);
  EXPECT_EQ(read->peers, written.peers);
  EXPECT_EQ(read->successor, written.successor);
  EXPECT_EQ(read->key_ring.keys, written.key_ring.keys);
}

TEST(IdentityFile, IsNotBelievedWhenAnyByteIsWrong) {
  const TemporaryDirectory directory;
  const std::string file = directory / "identity";
  ASSERT_TRUE(write_identity(directory / ".", identity_with({"10.0.0.1:7400"})));
  for (std::uintmax_t at = 0; at < fs::file_size(file); ++at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(byte ^ 0x10)).flush();
    EXPECT_FALSE(read_identity(directory / ".")) << "byte " << at;
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(byte)).flush();
  }
  EXPECT_TRUE(read_identity(directory / "."));
}

TEST(DirectoryRecovery, ALostLogMakesASuccessorWithTheSameIdAtEachTry) {
  const TemporaryDirectory directory;
  const NodeOptions options = options_of(directory);
  const IdentityFile identity = identity_with({"10.0.0.1:7400"});
  leave_without_log(options.dir, identity);
  Result<RecoveredDirectory> found = recover_directory(options);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(found->former && found->former->successor);
  EXPECT_EQ(found->former->seed, identity.seed);
  EXPECT_TRUE(fs::exists(options.dir + "/rotten-1/identity"));
  const Key32 successor = *found->former->successor;
  found = RecoveredDirectory{};
  found = recover_directory(options);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(found->former);
  EXPECT_EQ(found->former->successor, successor);
}

TEST(DirectoryRecovery, ANodeThatWasAloneRefusesAndNamesTheWayOut) {
  const TemporaryDirectory directory;
  NodeOptions options = options_of(directory);
  leave_without_log(options.dir, identity_with({}));
  const Result<RecoveredDirectory> found = recover_directory(options);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kCorrupt);
  EXPECT_NE(found.error().hint.find("--reset"), std::string::npos);
  options.reset = true;
  const Result<RecoveredDirectory> fresh = recover_directory(options);
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_FALSE(fresh->former);
  EXPECT_TRUE(fresh->recovered.facts.empty());
}

TEST(DirectoryRecovery, ADisownedDirectoryIsSetAsideAtTheNextStart) {
  const TemporaryDirectory directory;
  const NodeOptions options = options_of(directory);
  { ASSERT_TRUE(recover_directory(options)); }
  ASSERT_TRUE(write_identity(options.dir, identity_with({"10.0.0.1:7400"})));
  ASSERT_TRUE(disown_directory(options.dir));
  const Result<RecoveredDirectory> found = recover_directory(options);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->former);
}

TEST(DirectoryRecovery, ResetKeepsWhatWasThereAndTakesNothingOfTheFormerCluster) {
  const TemporaryDirectory directory;
  NodeOptions options = options_of(directory);
  { ASSERT_TRUE(recover_directory(options)); }
  ASSERT_TRUE(write_identity(options.dir, identity_with({"10.0.0.1:7400"})));
  ASSERT_TRUE(write_succession(options.dir, identity_with({"10.0.0.1:7400"})));
  ASSERT_TRUE(write_join_token(options.dir, "dun1-token"));
  options.reset = true;
  const Result<RecoveredDirectory> found = recover_directory(options);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->former);
  for (const char* name : {"identity", "succession", "join-token"}) {
    EXPECT_FALSE(fs::exists(options.dir + "/" + name)) << name;
    EXPECT_TRUE(fs::exists(options.dir + "/rotten-1/" + name)) << name;
  }
}

TEST(DirectoryRecovery, ResetOfAnEmptyDirectoryIsNoError) {
  const TemporaryDirectory directory;
  NodeOptions options = options_of(directory);
  options.reset = true;
  EXPECT_TRUE(recover_directory(options));
}

}  // namespace
}  // namespace dunlin
