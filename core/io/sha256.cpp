// SHA-256 through OpenSSL's EVP interface, which picks the processor's SHA instructions where there are any.
#include "core/io/sha256.h"

#include <isobit/error.h>
#include <openssl/evp.h>

namespace isobit::io {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
    fail("sha256", "OpenSSL offers no SHA-256");
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(const void* bytes, std::size_t count) {
  if (!state_) fail("sha256", "update after the digest was taken");
  if (count != 0 && EVP_DigestUpdate(state_->context, bytes, count) != 1)
    fail("sha256", "OpenSSL could not hash {} bytes", count);
}

std::string Sha256::hex() {
  if (!state_) fail("sha256", "the digest was taken already");
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(state_->context, digest, &size) != 1)
    fail("sha256", "OpenSSL could not finish the digest");
  state_.reset();
  std::string text;
  text.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

}  // namespace isobit::io
