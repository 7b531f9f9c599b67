// Saving: a crash, a full disk or a missing permission never costs the file that was there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <isobit/io.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

#include "tests/support/files.h"

namespace isobit {
namespace {

using test::Bytes;
using test::refuses;
namespace fs = std::filesystem;

void save_text(const std::string& path, std::string_view text) {
  io::write_atomically(path, [&](io::Writer& out) { out.write(text.data(), text.size()); });
}

std::string load_text(const std::string& path) {
  const Bytes bytes = test::read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

TEST(AtomicWrite, MakesAndReplaces) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "file";
  save_text(path, "one");
  EXPECT_EQ(load_text(path), "one");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  save_text(path, "");
  EXPECT_EQ(load_text(path), "");
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_EQ(folder.listing(), "file");
}

TEST(AtomicWrite, ManySmallAndLargePiecesArriveInOrder) {
  const test::TemporaryFolder folder;
  std::string expected;
  io::write_atomically(folder / "file", [&](io::Writer& out) {
    for (std::size_t n : {1u, 3u, 262143u, 262144u, 5u, 1000000u, 0u, 262145u, 7u}) {
      std::string piece(n, 'a');
      for (std::size_t i = 0; i < n; ++i) piece[i] = static_cast<char>('a' + (i + expected.size()) % 26);
      out.write(piece.data(), piece.size());
      expected += piece;
    }
  });
  EXPECT_EQ(load_text(folder / "file"), expected);
}

TEST(AtomicWrite, AnExceptionOfTheWriterLeavesTheOldFile) {
  const test::TemporaryFolder folder;
  save_text(folder / "file", "old");
  EXPECT_THROW(io::write_atomically(folder / "file",
                                    [](io::Writer& out) {
                                      out.write("new", 3);
                                      throw std::logic_error("writer");
                                    }),
               std::logic_error);
  EXPECT_EQ(load_text(folder / "file"), "old");
  EXPECT_EQ(folder.listing(), "file");
}

TEST(AtomicWrite, FollowsLinksAndKeepsThem) {
  const test::TemporaryFolder folder;
  const std::string inner = folder.folder("inner");
  fs::create_symlink("inner/file", folder / "link");
  save_text(folder / "link", "through a dangling link");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(load_text(inner + "/file"), "through a dangling link");
  save_text(folder / "link", "again");
  EXPECT_EQ(load_text(inner + "/file"), "again");
  fs::create_symlink("loop", folder / "loop");
  EXPECT_TRUE(refuses([&] { save_text(folder / "loop", "x"); }, {"loop", "symbolic links"}));
}

TEST(AtomicWrite, RefusesPlacesThatAreNoFile) {
  const test::TemporaryFolder folder;
  folder.folder("dir");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(refuses([&] { save_text(folder / "dir", "x"); }, {"dir", "is a directory"}));
  EXPECT_TRUE(refuses([&] { save_text(folder / "dir/", "x"); }, {"dir"}));
  EXPECT_TRUE(refuses([&] { save_text(folder / "pipe", "x"); }, {"pipe", "not a regular file"}));
  EXPECT_TRUE(refuses([&] { save_text("/dev/null", "x"); }, {"/dev/null", "not a regular file"}));
  EXPECT_TRUE(refuses([&] { save_text(folder / "no/file", "x"); }, {"no/file", "No such file"}));
  EXPECT_TRUE(refuses([&] { save_text(folder / "pipe/file", "x"); }, {"pipe/file", "Not a directory"}));
  EXPECT_TRUE(refuses([&] { save_text("", "x"); }, {"empty"}));
  EXPECT_TRUE(refuses([&] { save_text(std::string("a\0b", 3), "x"); }, {"zero byte"}));
  EXPECT_EQ(folder.listing(), "dir pipe");
}

TEST(AtomicWrite, LeftoversAreUsedAgainAndStrangersAreNotTouched) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file.partial", "what a killed process left, longer than the new text");
  save_text(folder / "file", "new");
  EXPECT_EQ(load_text(folder / "file"), "new");
  EXPECT_EQ(folder.listing(), "file");

  test::write_text(folder / "precious", "precious");
  fs::create_symlink("precious", folder / "file.partial");
  fs::create_hard_link(folder / "precious", folder / "file.partial1");
  folder.folder("file.partial2");
  save_text(folder / "file", "newer");
  EXPECT_EQ(load_text(folder / "file"), "newer");
  EXPECT_EQ(load_text(folder / "precious"), "precious");
  EXPECT_EQ(folder.listing(), "file file.partial file.partial1 file.partial2 precious");
}

TEST(AtomicWrite, ConcurrentWritersEachWriteAWholeFile) {
  const test::TemporaryFolder folder;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i)
        save_text(folder / "file", std::string(100'000, static_cast<char>('a' + t)));
    });
  for (auto& thread : threads) thread.join();
  const std::string text = load_text(folder / "file");
  ASSERT_EQ(text.size(), 100'000u);
  EXPECT_EQ(std::set<char>(text.begin(), text.end()).size(), 1u);
  EXPECT_EQ(folder.listing(), "file");
}

// Runs `action` in a child as a user without rights; its exit code is what the action gives.
int as_nobody(const std::function<int()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(99);
    ::_exit(action());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

TEST(AtomicWrite, MissingPermissionsAreNamed) {
  const test::TemporaryFolder folder;
  const std::string dir = folder.folder("dir");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  save_text(dir + "/file", "old");
  ASSERT_EQ(::chmod((dir + "/file").c_str(), 0), 0);
  ASSERT_EQ(::chmod(dir.c_str(), 0555), 0);
  const int code = as_nobody([&] {
    if (!refuses([&] { save_text(dir + "/file", "new"); }, {"dir/file", "Permission denied"})) return 1;
    if (!refuses([&] { io::read_safetensors(dir + "/file"); }, {"dir/file", "Permission denied"})) return 2;
    if (!refuses([&] { io::read_png(dir + "/file"); }, {"dir/file", "Permission denied"})) return 3;
    return 0;
  });
  EXPECT_EQ(code, 0);
  ASSERT_EQ(::chmod(dir.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((dir + "/file").c_str(), 0644), 0);
  EXPECT_EQ(load_text(dir + "/file"), "old");
}

// What the child of DiskFull finds; 0 is right. All tensors were made before the fork: no kernel runs in the
// child.
int fill_the_disk(const std::string& disk, const Tensor& old, const Tensor& large, const Tensor& noise) {
  io::write_safetensors(disk + "/model", {{"w", old}});
  const Bytes before = test::read_bytes(disk + "/model");
  if (!refuses(
          [&] {
            io::write_safetensors(disk + "/model", {{"w", large}});
          },
          {"disk/model", " bytes: No space left on device", "untouched"}))
    return 2;
  if (!refuses([&] { io::write_png(disk + "/x.png", noise); }, {"x.png", "No space left on device"}))
    return 3;
  if (test::read_bytes(disk + "/model") != before) return 4;
  for (const auto& entry : fs::directory_iterator(disk))
    if (entry.path().filename() != "model") return 5;
  // And what fits is still written.
  io::write_safetensors(disk + "/model", {{"w", noise.slice(0, 10)}});
  return equal_bits(io::read_safetensors(disk + "/model").at("w"), noise.slice(0, 10)) ? 0 : 6;
}

TEST(AtomicWrite, DiskFull) {
  const test::TemporaryFolder folder;
  const std::string disk = folder.folder("disk");
  const Tensor old = from_vector(std::vector<float>(100, 1.5f), {100});
  const Tensor large = from_vector(std::vector<float>(100'000, 2.5f), {100'000});
  Bytes noise(90'000);
  for (std::uint32_t i = 0, state = 1; i < noise.size(); ++i, state = state * 1664525 + 1013904223)
    noise[i] = static_cast<std::uint8_t>(state >> 24);
  const Tensor image = from_vector(noise, {300, 300});
  constexpr int cannot_mount = 77;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A mount namespace of its own: the disk is gone with the child. Users other than root need a user
    // namespace.
    const bool own = ::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!own || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", disk.c_str(), "tmpfs", 0, "size=64k") != 0)
      ::_exit(cannot_mount);
    int code = 1;
    try {
      code = fill_the_disk(disk, old, large, image);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == cannot_mount) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the numbers stand in fill_the_disk";
}

constexpr int kills = 60;
constexpr std::int64_t elements = 200'000;

TEST(AtomicWrite, DISABLED_ChildThatSavesForEver) {
  // Run by KilledAtRandomPoints in a process of its own.
  const char* path = std::getenv("ISOBIT_TEST_SAVE_PATH");
  const char* first = std::getenv("ISOBIT_TEST_SAVE_FIRST");
  ASSERT_TRUE(path != nullptr && first != nullptr);
  for (int i = std::atoi(first);; ++i) io::write_safetensors(path, {{"w", full({elements}, i)}});
}

ino_t inode_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

TEST(AtomicWrite, KilledAtRandomPoints) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "model";
  io::write_safetensors(path, {{"w", full({elements}, 0)}});
  ASSERT_EQ(::setenv("ISOBIT_TEST_SAVE_PATH", path.c_str(), 1), 0);
  std::uint32_t random = 1;
  for (int number = 1; number <= kills; ++number) {
    const int first = number * 100'000;  // of the values that this child saves
    ASSERT_EQ(::setenv("ISOBIT_TEST_SAVE_FIRST", std::to_string(first).c_str(), 1), 0);
    const ino_t before = inode_of(path);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, 1);
      ::execl("/proc/self/exe", "unit_tests", "--gtest_filter=AtomicWrite.DISABLED_ChildThatSavesForEver",
              "--gtest_also_run_disabled_tests", static_cast<char*>(nullptr));
      ::_exit(97);
    }
    // Once its first save is there, it saves again and again, a millisecond or a few each.
    int status = 0;
    while (inode_of(path) == before && ::waitpid(child, &status, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    random = random * 1664525 + 1013904223;
    std::this_thread::sleep_for(std::chrono::microseconds(random >> 19));  // up to 8 ms
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, exit code " << WEXITSTATUS(status);
    const Tensor w = io::read_safetensors(path).at("w");
    ASSERT_TRUE(w.shape() == Shape({elements}));
    const double value = w.slice(0, 1).item();
    ASSERT_TRUE(equal_bits(w, full({elements}, value))) << "two saves are mixed";
    ASSERT_TRUE(value >= first && value < first + 100'000) << value;
  }
  EXPECT_EQ(::unsetenv("ISOBIT_TEST_SAVE_PATH"), 0);
  EXPECT_EQ(::unsetenv("ISOBIT_TEST_SAVE_FIRST"), 0);
  // At most one temporary file is left, whatever the number of kills, and the next save uses it up.
  EXPECT_TRUE(folder.listing() == "model" || folder.listing() == "model model.partial") << folder.listing();
  io::write_safetensors(path, {{"w", zeros({1})}});
  EXPECT_EQ(folder.listing(), "model");
}

}  // namespace
}  // namespace isobit
