// Peers of `isobit bench`: only one that computed the same takes part, and none can end the run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/error.h>
#include <isobit/ops.h>

#include <filesystem>

#include "benchmarks/measure.h"
#include "benchmarks/whole.h"
#include "tests/support/files.h"

namespace isobit::bench {
namespace {

using ::testing::HasSubstr;

// A peer whose library copies tensors. What it does when it is asked comes from the caller.
std::string write_peer(const test::TemporaryFolder& folder, const std::string& check,
                       const std::string& time = R"(echo '{"wall": 0.5, "cpu": 0.25}')",
                       const std::string& first = R"(echo '{"ready": "Copier 1.0"}')") {
  const std::string path = folder / "peer";
  std::ofstream(path) << "#!/bin/sh\n"
                      << "check() { " << check << "; }\ntime_calls() { " << time << "; }\n"
                      << first << R"sh(
path_of() { sed "s/.*\"$1\":[[]*{\"dtype\":\"[a-z0-9]*\",\"path\":\"\([^\"]*\)\".*/\1/"; }
while read -r line; do
  case $line in
    *'"do":"case"'*)
      in=$(echo "$line" | path_of inputs)
      out=$(echo "$line" | path_of output)
      echo '{"variants": ["plain", "other"]}' ;;
    *'"do":"check"'*'"variant":0'*) check ;;
    *'"do":"check"'*) echo '{"refused": "not this way"}' ;;
    *'"do":"time"'*) time_calls ;;
  esac
done
)sh";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

constexpr const char* kRight = R"(cp "$in" "$out"; echo '{"implementation": "cp"}')";
constexpr const char* kWrong = R"(head -c 64 /dev/zero >"$out"; echo '{"implementation": "zeros"}')";

Problem copying() {
  const std::vector<Tensor> inputs{numbers({16}, DType::f32, "x")};
  const Settings settings;
  Problem p =
      whole_problem(inputs, forward_of([](const std::vector<Tensor>& i) { return i[0].clone(); }), settings);
  p.name = "copy";
  p.direction = "fwd";
  p.bytes = 128;
  p.question = {{"op", "copy"}};
  return p;
}

Row measured(const std::string& path, bool cached = false) {
  Settings settings;
  settings.rounds = 3;
  settings.turn_seconds = 0;
  settings.cached = cached;
  Problem problem = copying();
  problem.touch = [] {};
  std::vector<std::unique_ptr<Peer>> peers;
  peers.push_back(std::make_unique<Peer>("copier", std::vector{path}, 1));
  EXPECT_TRUE(peers[0]->available()) << peers[0]->why();
  return measure(problem, settings, peers);
}

TEST(BenchPeers, OneThatIsRightTakesPart) {
  const test::TemporaryFolder folder;
  const Row row = measured(write_peer(folder, kRight), true);
  EXPECT_TRUE(row.verdict.equal);
  EXPECT_EQ(row.rounds, 3);
  ASSERT_EQ(row.peers.size(), 1u);
  const PeerRow& peer = row.peers[0];
  EXPECT_EQ(peer.why, "");
  EXPECT_EQ(peer.name, "Copier 1.0");
  EXPECT_EQ(peer.variant, "plain");
  EXPECT_EQ(peer.implementation, "cp");
  EXPECT_EQ(peer.error, 0);
  EXPECT_EQ(peer.seconds.median, 0.25) << "one thread counts by processor time";
  EXPECT_GT(peer.ratio, 0);
  EXPECT_GT(peer.cached_ratio, 0);
  EXPECT_EQ(row.best(), &peer);
}

TEST(BenchPeers, OneThatComputedSomethingElseIsRefused) {
  const test::TemporaryFolder folder;
  const Row row = measured(write_peer(folder, kWrong));
  EXPECT_TRUE(row.verdict.equal) << "our own result is what it is";
  ASSERT_EQ(row.peers.size(), 1u);
  EXPECT_THAT(row.peers[0].why, HasSubstr("a wrong result"));
  EXPECT_EQ(row.peers[0].seconds.median, 0);
  EXPECT_EQ(row.best(), nullptr);
}

TEST(BenchPeers, OneThatFailsIsNamedAndTheRunGoesOn) {
  const test::TemporaryFolder folder;
  const auto why = [&](const std::string& check, const std::string& time = "echo '{}'") {
    const Row row = measured(write_peer(folder, check, time));
    EXPECT_GT(row.seconds.median, 0);
    EXPECT_EQ(row.best(), nullptr);
    return row.peers.at(0).why;
  };
  EXPECT_THAT(why(R"(head -c 9 /dev/zero >"$out"; echo '{}')"), HasSubstr("does not hold the 64 bytes"));
  EXPECT_THAT(why("exit 1"), HasSubstr("died"));
  EXPECT_THAT(why("echo nonsense"), HasSubstr("expected an object"));
  EXPECT_THAT(why(R"(echo '{"error": "it hurts"}')"), HasSubstr("it hurts"));
  EXPECT_THAT(why(kRight, "echo '{}'"), HasSubstr("protocol"));
  EXPECT_THAT(why(kRight, R"(echo '{"wall": 0, "cpu": 0}')"), HasSubstr("measured 0 seconds"));
  EXPECT_THAT(why(R"(echo '{"refused": "not today"}')"), HasSubstr("no way to compute this"));
}

TEST(BenchPeers, SayWhyTheyAreNotThere) {
  const test::TemporaryFolder folder;
  const auto why = [&](const std::string& first) {
    const Peer peer("copier", {write_peer(folder, kRight, "echo", first)}, 1);
    EXPECT_FALSE(peer.available());
    return peer.why();
  };
  EXPECT_EQ(why(R"(echo '{"missing": "no library"}'; exit)"), "no library");
  EXPECT_THAT(why("echo hello; exit"), HasSubstr("began with 'hello'"));
  EXPECT_THAT(why("exit"), HasSubstr("ended without a word"));
  Peer nobody("nobody", {"/nowhere/at/all"}, 1);
  EXPECT_THAT(nobody.why(), HasSubstr("could not be started"));
  EXPECT_THROW(nobody.ask({{"do", "case"}}), Error);
  std::string missing;
  EXPECT_THROW(peer_command("cudnn", missing), Error);
  EXPECT_EQ(peer_command("./mine", missing), std::vector<std::string>{"./mine"});
}

}  // namespace
}  // namespace isobit::bench
