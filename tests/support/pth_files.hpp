// PyTorch files for tests: a zip writer that lays records out as torch.save does, and pickles put together from words.
#pragma once

#include <dino/io/file.hpp>
#include <dino/io/png_gate.hpp>
#include <dino/io/state_dict.hpp>

#include <string>
#include <utility>
#include <vector>

namespace pth {

using dino::i64, dino::u16, dino::u32, dino::u64;

template <class T> std::string le(T value) { return {reinterpret_cast<const char*>(&value), sizeof(T)}; }

struct Record {
  std::string name, bytes;
};

struct ZipStyle {
  bool zip64 = true;          // the record and its locator, as torch.save always writes them
  bool wide_entries = false;  // sizes and offsets in the extra field of zip64
  std::string comment{};
};

/// A zip archive as torch 1.13 writes it: nothing in local headers, data at multiples of 64, descriptors behind.
inline std::string zip(const std::vector<Record>& records, const ZipStyle& style = {}) {
  std::string file, directory;
  for (const auto& [name, bytes] : records) {
    const auto crc = dino::detail::png_crc(dino::as_bytes(bytes));
    const auto size = static_cast<u32>(bytes.size());
    const auto header = file.size();
    const size_t padding = (64 - (header + 30 + name.size() + 4) % 64) % 64;
    file += "PK\3\4" + le<u16>(0) + le<u16>(0x0808) + std::string(18, '\0') + le(static_cast<u16>(name.size())) +
            le(static_cast<u16>(padding + 4)) + name + "FB" + le(static_cast<u16>(padding)) +
            std::string(padding, 'Z') + bytes;
    file += "PK\7\10" + le(crc) + le(size) + le(size);
    const std::string extra = style.wide_entries ? le<u16>(0x4246) + le<u16>(3) + "abc" + le<u16>(1) + le<u16>(24) +
                                                       le(u64{size}) + le(u64{size}) + le(u64{header})
                                                 : "";
    directory += "PK\1\2" + le<u16>(0) + le<u16>(0) + le<u16>(0x0808) + le<u16>(0) + le<u32>(0) + le(crc);
    directory += style.wide_entries ? std::string(8, '\xff') : le(size) + le(size);
    directory += le(static_cast<u16>(name.size())) + le(static_cast<u16>(extra.size())) + std::string(10, '\0') +
                 (style.wide_entries ? std::string(4, '\xff') : le(static_cast<u32>(header))) + name + extra;
  }
  const u64 begin = file.size(), count = records.size(), size = directory.size();
  file += directory;
  const u64 end = file.size();
  if (style.zip64) {
    file += "PK\6\6" + le<u64>(44) + le<u16>(0x031e) + le<u16>(45) + le<u32>(0) + le<u32>(0) + le(count) + le(count) +
            le(size) + le(begin) + "PK\6\7" + le<u32>(0) + le(end) + le<u32>(1);
  }
  const auto n = le(static_cast<u16>(count));
  return file + "PK\5\6" + le<u32>(0) + n + n + le(static_cast<u32>(size)) + le(static_cast<u32>(begin)) +
         le(static_cast<u16>(style.comment.size())) + style.comment;
}

// Words of pickle: each leaves one value on the stack.
inline std::string text(const std::string& s) { return 'X' + le(static_cast<u32>(s.size())) + s; }
inline std::string integer(i64 x) { return "\x8a\x08" + le(x); }
inline std::string global(const std::string& module, const std::string& name) {
  return 'c' + module + '\n' + name + '\n';
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string s = "(";
  for (const auto& item : items) s += item;
  return s + 't';
}
inline std::string list(const std::vector<std::string>& items) {
  std::string s = "](";
  for (const auto& item : items) s += item;
  return s + 'e';
}
using Items = std::vector<std::pair<std::string, std::string>>;
inline std::string dict(const Items& items) {
  std::string s = "}(";
  for (const auto& [key, value] : items) s += text(key) + value;
  return s + 'u';
}
inline std::string numbers(const std::vector<i64>& values) {
  std::vector<std::string> items;
  for (const i64 x : values) items.push_back(integer(x));
  return tuple(items);
}
inline std::string storage(const std::string& type, const std::string& key, i64 numel) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(numel)}) + 'Q';
}
inline std::string tensor(const std::string& storage, i64 offset, const std::vector<i64>& sizes,
                          const std::vector<i64>& strides) {
  const auto hooks = global("collections", "OrderedDict") + ")R";
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(offset), numbers(sizes), numbers(strides), "\x89", hooks}) + 'R';
}
inline std::string pickle(const std::string& root) { return "\x80\x02" + root + '.'; }

/// argparse.Namespace(lr=1), as it stands in full checkpoints.
inline std::string namespace_object() {
  return global("argparse", "Namespace") + ")\x81" + dict({{"lr", integer(1)}}) + 'b';
}

/// A whole file: data.pkl, the records data/<key> and version.
inline std::string file(const std::string& root, const std::vector<Record>& data, const ZipStyle& style = {}) {
  std::vector<Record> records{{"archive/data.pkl", pickle(root)}};
  for (const auto& [key, bytes] : data) records.push_back({"archive/data/" + key, bytes});
  records.push_back({"archive/version", "3\n"});
  return zip(records, style);
}

template <class T> std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// {t: {1, 2}}
inline std::string small_file() {
  return file(dict({{"t", tensor(storage("FloatStorage", "0", 2), 0, {2}, {1})}}), {{"0", bytes_of<float>({1, 2})}});
}

/// Entries of a dictionary of floats, and their records behind those of `data`.
inline Items entries(const std::vector<dino::TensorView>& tensors, std::vector<Record>& data) {
  Items items;
  for (const auto& t : tensors) {
    const auto key = std::to_string(data.size());
    const i64 rank = t.shape.rank();
    std::vector<i64> strides(static_cast<size_t>(rank), 1);
    for (i64 i = rank - 1; i > 0; --i) {
      strides[static_cast<size_t>(i - 1)] = strides[static_cast<size_t>(i)] * t.shape[i];
    }
    items.push_back(
        {t.name, tensor(storage("FloatStorage", key, t.shape.numel()), 0, {t.shape.begin(), t.shape.end()}, strides)});
    data.push_back({key, {reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size()}});
  }
  return items;
}

inline std::string unhex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// torch.save(OrderedDict(t=tensor([1., 2.])), "t.pth") of torch 1.13: 729 bytes, sha256
/// c504975bcfea498595e0e29dd8ad79d176ca8550879d8139f7c03632571f286b.
inline std::string golden_pickle() {
  return unhex(
      "800263636f6c6c656374696f6e730a4f726465726564446963740a710029527101580100000074710263746f7263682e5f7574696c730a5f"
      "72656275696c645f74656e736f725f76320a71032828580700000073746f72616765710463746f7263680a466c6f617453746f726167650a"
      "71055801000000307106580300000063707571074b02747108514b004b028571094b0185710a8968002952710b74710c52710d732e");
}
inline std::string golden() {
  return zip({{"t/data.pkl", golden_pickle()}, {"t/data/0", bytes_of<float>({1, 2})}, {"t/version", "3\n"}});
}

}  // namespace pth
