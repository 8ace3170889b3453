// What the pickle of a PyTorch file holds, as data: values, dictionaries, tensors, and the names of all else.
#pragma once

#include <dino/base/shape.hpp>
#include <dino/io/file.hpp>
#include <dino/io/state_dict.hpp>

#include <deque>
#include <set>

namespace dino::inline DINO_ABI {

/// Memory that the contents of a file may still ask for. Taken before it is allocated.
class MemoryBudget {
 public:
  MemoryBudget(i64 bytes, std::string path) : all_(bytes), left_(bytes), path_(std::move(path)) {}

  /// Throws Error{weights} when there is not that much left.
  void take(i64 bytes) {
    require(bytes >= 0 && bytes <= left_, ErrorKind::weights,
            "{}: its contents would need more than {} of memory, far more than the file: damaged, or made to exhaust "
            "memory. Save the weights alone: torch.save(model.state_dict(), 'out.pth')",
            path_, size_text(all_));
    left_ -= bytes;
  }

 private:
  i64 all_, left_;
  std::string path_;
};

/// What a value of a pickle is. `other`: None, booleans, reals, sets and long integers, which nothing here needs.
/// object: an instance of a class that is not known, never made. global: a class or function, never called.
enum class PickleKind : u8 { other, integer, text, tuple, list, dict, global, object, storage, tensor };

/// A handle of 16 bytes: copies of a tuple, list or dictionary share it.
struct PickleValue {
  PickleKind kind = PickleKind::other;
  u32 index = 0;   // in the table of its kind; text, global and object: first byte of the text in the pickle
  i64 number = 0;  // integer: its value; text, global and object: bytes of the text
};

/// An element type of PyTorch and what it is loaded as: types that StateDict has not are widened.
struct StorageType {
  std::string_view global;
  i64 size;  // bytes of an element in the file
  DType dtype;
};
// clang-format off
inline constexpr StorageType storage_types[] = {
    {"torch\nFloatStorage", 4, DType::F32},     {"torch\nHalfStorage", 2, DType::F16},
    {"torch\nBFloat16Storage", 2, DType::BF16}, {"torch\nDoubleStorage", 8, DType::F64},
    {"torch\nLongStorage", 8, DType::I64},      {"torch\nIntStorage", 4, DType::I32},
    {"torch\nShortStorage", 2, DType::I32},     {"torch\nCharStorage", 1, DType::I32},
    {"torch\nByteStorage", 1, DType::U8},       {"torch\nBoolStorage", 1, DType::BOOL},
};
// clang-format on

/// The numbers behind one or more tensors: numel elements in the record data/<key>.
struct PickleStorage {
  const StorageType* type = nullptr;
  PickleValue key;
  i64 numel = 0;
};

/// Element (i, j, ...) of a tensor is element offset + i strides[0] + j strides[1] + ... of its storage. All of them
/// lie inside the numel of the storage.
struct PickleTensor {
  u32 storage = 0;
  i64 offset = 0, numel = 0;
  Shape shape;
  std::array<i64, Shape::max_rank> strides{};
};

/// A pickle as data. sequences: tuples and lists; dictionaries as key, value, key, value in the order of the file.
struct PickleTree {
  std::vector<u8> bytes;  // of the pickle, in which the texts stand
  std::deque<std::vector<PickleValue>> sequences;
  std::deque<PickleStorage> storages;
  std::deque<PickleTensor> tensors;
  std::set<std::string> inert;  // unknown classes and functions, as module.name
  PickleValue root;

  /// The text of a text, global or object; module and name of the latter are divided by a line end.
  std::string_view text(const PickleValue& v) const {
    return {reinterpret_cast<const char*>(bytes.data()) + v.index, static_cast<size_t>(v.number)};
  }
};

struct PickleLimits {
  i64 pickle = i64{256} << 20;  // bytes
  i64 text = i64{1} << 20;      // bytes of one string
  i64 stack = 100'000;          // values, and marks
  i64 memo = 10'000'000;        // values
};

namespace detail {

/// True for what no file of weights has a use for: the ways from a pickle to the system.
inline bool refused_global(std::string_view module, std::string_view name) {
  constexpr std::string_view modules[] = {"os",    "posix", "nt",     "subprocess", "sys",    "importlib",
                                          "runpy", "pty",   "socket", "shutil",     "ctypes", "webbrowser"};
  constexpr std::string_view builtins[] = {"eval",    "exec",       "compile",    "open", "getattr",
                                           "setattr", "__import__", "breakpoint", "input"};
  const auto root = module.substr(0, module.find('.')), first = name.substr(0, name.find('.'));
  const auto among = [](const auto& list, std::string_view x) {
    return std::find(std::begin(list), std::end(list), x) != std::end(list);
  };
  return among(modules, root) || ((root == "builtins" || root == "__builtin__") && among(builtins, first));
}

inline const StorageType* storage_type(std::string_view global) {
  const auto* type = std::find_if(std::begin(storage_types), std::end(storage_types),
                                  [&](const auto& t) { return t.global == global; });
  return type == std::end(storage_types) ? nullptr : type;
}

/// Globals whose meaning is known; types of numbers are values without consequence.
inline bool known_global(std::string_view global) {
  constexpr std::string_view known[] = {"collections\nOrderedDict",
                                        "torch._utils\n_rebuild_tensor_v2",
                                        "torch._utils\n_rebuild_parameter",
                                        "torch\nSize",
                                        "torch\ndevice",
                                        "torch\nfloat32",
                                        "torch\nfloat16",
                                        "torch\nbfloat16",
                                        "torch\nfloat64",
                                        "torch\nint64",
                                        "torch\nint32",
                                        "torch\nint16",
                                        "torch\nint8",
                                        "torch\nuint8",
                                        "torch\nbool"};
  return storage_type(global) != nullptr || std::find(std::begin(known), std::end(known), global) != std::end(known);
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI
