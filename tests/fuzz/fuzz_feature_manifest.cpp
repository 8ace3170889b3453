// Any bytes as the manifest of a cache of features: parsed, or refused with a message; what is parsed is consistent.
#include <dino/eval/feature_manifest.hpp>

#include "reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const dino::u8* data, size_t size) {
  return fuzz::check_reader(data, size, [](const std::filesystem::path& path) {
    const auto text = dino::read_text(path, 1 << 20, dino::ErrorKind::weights);
    const auto m = dino::parse_feature_manifest(text, "input");
    dino::i64 images = 0;
    for (const auto& s : m.shards) {
      if (s.first != images || s.rows < 0 || s.skipped < 0 || s.rows + s.skipped != s.images) std::abort();
      images += s.images;
    }
    if (images != m.done() || images > m.images()) std::abort();
  });
}
