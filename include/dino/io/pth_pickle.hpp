// The pickle of PyTorch files, read as data: tensors and dictionaries are understood, all else is inert.
#pragma once

#include <dino/io/pth_tree.hpp>
#include <dino/io/pth_zip.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// The stack machine of pickle, protocol 2, without the parts that call anything.
class PickleMachine {
 public:
  PickleMachine(std::vector<u8> bytes, std::string where, MemoryBudget& budget, const PickleLimits& limits)
      : where_(std::move(where)), budget_(budget), limits_(limits) {
    tree_.bytes = std::move(bytes);
  }

  PickleTree run() {
    while (step()) {
    }
    check(stack_.size() == 1 && marks_.empty(), "{} values are left on the stack", stack_.size());
    check(at_ == tree_.bytes.size(), "{} bytes follow its end", tree_.bytes.size() - at_);
    tree_.root = stack_[0];
    return std::move(tree_);
  }

 private:
  using Kind = PickleKind;

  template <class... Args> void check(bool condition, std::string_view pattern, const Args&... args) const {
    if (condition) return;
    fail(ErrorKind::weights, "{}: damaged at byte {}: {}. Copy or download the file again", where_, opcode_at_,
         str(pattern, args...));
  }

  /// One opcode; false after the last.
  bool step() {
    opcode_at_ = at_;
    const u8 opcode = number<u8>();
    // clang-format off
    switch (opcode) {
      case 0x80: check(number<u8>() <= 5, "unknown protocol"); break;        // PROTO
      case 'c': global(); break;                                             // GLOBAL
      case 'q': put(number<u8>()); break;                                    // BINPUT
      case 'r': put(number<u32>()); break;                                   // LONG_BINPUT
      case 'h': get(number<u8>()); break;                                    // BINGET
      case 'j': get(number<u32>()); break;                                   // LONG_BINGET
      case ')': push_sequence(Kind::tuple, stack_.size()); break;            // EMPTY_TUPLE
      case '}': push_sequence(Kind::dict, stack_.size()); break;             // EMPTY_DICT
      case ']': push_sequence(Kind::list, stack_.size()); break;             // EMPTY_LIST
      case '(': mark(); break;                                               // MARK
      case 't': push_sequence(Kind::tuple, pop_mark()); break;               // TUPLE
      case 0x85: push_sequence(Kind::tuple, below(1)); break;                // TUPLE1
      case 0x86: push_sequence(Kind::tuple, below(2)); break;                // TUPLE2
      case 0x87: push_sequence(Kind::tuple, below(3)); break;                // TUPLE3
      case 'X': text(number<u32>()); break;                                  // BINUNICODE
      case 'U': text(number<u8>()); break;                                   // SHORT_BINSTRING
      case 'J': push({Kind::integer, 0, number<i32>()}); break;              // BININT
      case 'K': push({Kind::integer, 0, number<u8>()}); break;               // BININT1
      case 'M': push({Kind::integer, 0, number<u16>()}); break;              // BININT2
      case 0x8a: long_integer(); break;                                      // LONG1
      case 'G': skip(8), push({}); break;                                    // BINFLOAT
      case 'N': case 0x88: case 0x89: case 0x8f: push({}); break;            // NONE, NEWTRUE, NEWFALSE, EMPTY_SET
      case 'Q': persistent_id(); break;                                      // BINPERSID
      case 'R': case 0x81: call(); break;                                    // REDUCE, NEWOBJ
      case 'b': below(2), stack_.pop_back(); break;                          // BUILD: the state is dropped
      case 's': extend(Kind::dict, below(2)); break;                         // SETITEM
      case 'u': extend(Kind::dict, pop_mark()); break;                       // SETITEMS
      case 'a': extend(Kind::list, below(1)); break;                         // APPEND
      case 'e': extend(Kind::list, pop_mark()); break;                       // APPENDS
      case '.': return false;                                                // STOP
      default: unknown(opcode);
    }
    // clang-format on
    return true;
  }

  [[noreturn]] void unknown(u8 opcode) const {
    constexpr const char* digits = "0123456789abcdef";
    fail(ErrorKind::weights,
         "{}: opcode 0x{}{} at byte {} has no use in a file of weights: damaged, or saved in another way. Load it with "
         "torch and save it again: torch.save(model.state_dict(), 'out.pth')",
         where_, digits[opcode >> 4], digits[opcode & 15], opcode_at_);
  }

  /// Moves past size bytes; returns where they begin.
  size_t skip(size_t size) {
    check(size <= tree_.bytes.size() - at_, "it ends too early");
    return std::exchange(at_, at_ + size);
  }
  template <class T> T number() { return read_le<T>(tree_.bytes.data() + skip(sizeof(T))); }

  void push(const PickleValue& value) {
    check(static_cast<i64>(stack_.size()) < limits_.stack, "more than {} values on the stack", limits_.stack);
    stack_.push_back(value);
  }
  void mark() {
    check(static_cast<i64>(marks_.size()) < limits_.stack, "more than {} marks", limits_.stack);
    marks_.push_back(stack_.size());
  }
  size_t pop_mark() {
    check(!marks_.empty(), "a mark is missing");
    const size_t at = marks_.back();
    marks_.pop_back();
    return at;
  }
  /// Where the topmost n values begin; none of them may stand before the last mark.
  size_t below(size_t n) const {
    check(stack_.size() - (marks_.empty() ? 0 : marks_.back()) >= n, "a value is missing on the stack");
    return stack_.size() - n;
  }
  PickleValue pop() {
    below(1);
    const auto value = stack_.back();
    stack_.pop_back();
    return value;
  }

  void put(u32 index) {
    below(1);
    check(index < limits_.memo, "more than {} values in the memo", limits_.memo);
    if (index >= memo_.size()) {
      budget_.take((static_cast<i64>(index) + 1 - static_cast<i64>(memo_.size())) * 2 * i64{sizeof(Memo)});
      memo_.resize(size_t{index} + 1);
    }
    memo_[index] = {stack_.back(), true};
  }
  void get(u32 index) {
    check(index < memo_.size() && memo_[index].known, "there is no value {} in the memo", index);
    push(memo_[index].value);
  }

  void text(size_t size) {
    check(static_cast<i64>(size) <= limits_.text, "a string of more than {} bytes", limits_.text);
    const auto begin = skip(size);
    push({Kind::text, static_cast<u32>(begin), static_cast<i64>(size)});
  }
  void long_integer() {
    const size_t size = number<u8>(), begin = skip(size);
    if (size > 8) return push({});
    u64 bits = size > 0 && tree_.bytes[begin + size - 1] >= 0x80 ? ~u64{0} : 0;
    if (size > 0) std::memcpy(&bits, tree_.bytes.data() + begin, size);
    push({Kind::integer, 0, static_cast<i64>(bits)});
  }

  /// Two lines, module and name.
  void global() {
    const size_t begin = at_;
    for (int lines = 0; lines < 2;) {
      check(static_cast<i64>(at_ - begin) <= limits_.text, "a name of more than {} bytes", limits_.text);
      lines += number<u8>() == '\n';
    }
    const PickleValue value{Kind::global, static_cast<u32>(begin), static_cast<i64>(at_ - begin - 1)};
    const auto text = tree_.text(value), module = text.substr(0, text.find('\n'));
    require(!refused_global(module, text.substr(module.size() + 1)), ErrorKind::weights,
            "{}: refused: it asks for {} at byte {}, which no file of weights does. Nothing was executed. Do not load "
            "this file with any program, and get the weights from a source you trust",
            where_, shown(text), opcode_at_);
    if (!known_global(text)) {
      auto name = shown(text);
      if (tree_.inert.count(name) == 0) budget_.take(128 + static_cast<i64>(name.size()));
      tree_.inert.insert(std::move(name));
    }
    push(value);
  }

  /// The values of the stack from `from` on become one.
  void push_sequence(Kind kind, size_t from) {
    budget_.take(48 + static_cast<i64>(stack_.size() - from) * i64{sizeof(PickleValue)});
    tree_.sequences.emplace_back(stack_.begin() + static_cast<i64>(from), stack_.end());
    stack_.resize(from);
    push({kind, static_cast<u32>(tree_.sequences.size() - 1)});
  }

  /// Adds the values from `from` on to the list or dictionary that stands before them. Inert objects swallow them.
  void extend(Kind kind, size_t from) {
    const auto count = static_cast<i64>(stack_.size() - from);
    check(from > (marks_.empty() ? 0 : marks_.back()), "nothing to add to");
    check(kind == Kind::list || count % 2 == 0, "a key without value");
    const auto& target = stack_[from - 1];
    if (target.kind == kind) {
      budget_.take(2 * count * i64{sizeof(PickleValue)});
      auto& items = tree_.sequences[target.index];
      items.insert(items.end(), stack_.begin() + static_cast<i64>(from), stack_.end());
    } else {
      check(target.kind == Kind::object || target.kind == Kind::other, "values are added to something else");
    }
    stack_.resize(from);
  }

  /// ('storage', type, key, location, numel)
  void persistent_id() {
    const auto id = pop();
    const auto* v = elements(id, Kind::tuple, 5);
    check(v && v[0].kind == Kind::text && tree_.text(v[0]) == "storage" && v[2].kind == Kind::text &&
              v[4].kind == Kind::integer && v[4].number >= 0 && v[1].kind == Kind::global,
          "this is not the description of a storage");
    const auto* type = storage_type(tree_.text(v[1]));
    if (!type) return push({Kind::object, v[1].index, v[1].number});
    budget_.take(sizeof(PickleStorage));
    tree_.storages.push_back({type, v[2], v[4].number});
    push({Kind::storage, static_cast<u32>(tree_.storages.size() - 1)});
  }

  /// The elements of a tuple or list with at least n of them; null when it is something else.
  const PickleValue* elements(const PickleValue& value, Kind kind, size_t n) const {
    if (value.kind != kind || tree_.sequences[value.index].size() < n) return nullptr;
    return tree_.sequences[value.index].data();
  }

  /// What a known class or function makes of its arguments; everything else becomes an inert object with its name.
  void call() {
    const auto arguments = pop(), callee = pop();
    check(callee.kind == Kind::global || callee.kind == Kind::object, "something that is no function is called");
    check(arguments.kind == Kind::tuple, "arguments that are no tuple");
    const auto name = callee.kind == Kind::global ? tree_.text(callee) : std::string_view();
    const auto* first = elements(arguments, Kind::tuple, 1);
    if (name == "collections\nOrderedDict") return ordered_dict(first);
    if (name == "torch._utils\n_rebuild_tensor_v2") return tensor(arguments);
    if (name == "torch._utils\n_rebuild_parameter" && first && first->kind == Kind::tensor) return push(*first);
    if (name == "torch\nSize" && first && first->kind == Kind::tuple) return push(*first);
    push({Kind::object, callee.index, callee.number});
  }

  /// Empty, or from a list of pairs.
  void ordered_dict(const PickleValue* pairs) {
    push_sequence(Kind::dict, stack_.size());
    if (!pairs) return;
    check(pairs->kind == Kind::list, "an ordered dictionary made of something else than pairs");
    const auto dict = stack_.back().index;
    for (const auto& pair : tree_.sequences[pairs->index]) {
      const auto* v = elements(pair, pair.kind == Kind::list ? Kind::list : Kind::tuple, 2);
      check(v != nullptr, "an ordered dictionary made of something else than pairs");
      budget_.take(4 * i64{sizeof(PickleValue)});
      tree_.sequences[dict].insert(tree_.sequences[dict].end(), {v[0], v[1]});
    }
  }

  /// (storage, offset, sizes, strides, requires_grad, hooks), and {'neg': True} for a view that turns the signs
  void tensor(const PickleValue& arguments) {
    const auto* v = elements(arguments, Kind::tuple, 4);
    check(v != nullptr, "a tensor with too few arguments");
    const auto* more = elements(arguments, Kind::tuple, 7);
    require(!more || more[6].kind != Kind::dict || tree_.sequences[more[6].index].empty(), ErrorKind::weights,
            "{}: the tensor at byte {} is a view that negates or conjugates its numbers. Save what it shows: "
            "tensor.resolve_conj().resolve_neg().clone()",
            where_, opcode_at_);
    if (v[0].kind == Kind::object) return push(v[0]);
    check(v[0].kind == Kind::storage && v[1].kind == Kind::integer && v[2].kind == Kind::tuple &&
              v[3].kind == Kind::tuple,
          "a tensor with wrong arguments");
    const auto &sizes = tree_.sequences[v[2].index], &strides = tree_.sequences[v[3].index];
    check(sizes.size() == strides.size() && sizes.size() <= size_t{Shape::max_rank},
          "a tensor of {} dimensions and {} strides, at most {} are supported", sizes.size(), strides.size(),
          Shape::max_rank);
    PickleTensor t{.storage = v[0].index, .offset = v[1].number, .numel = 1, .shape = {}};
    std::array<i64, Shape::max_rank> extents{};
    bool valid = t.offset >= 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      extents[i] = sizes[i].number, t.strides[i] = strides[i].number;
      valid = valid && sizes[i].kind == Kind::integer && strides[i].kind == Kind::integer && extents[i] >= 0 &&
              t.strides[i] >= 0;
    }
    check(valid, "a tensor with a size, stride or offset that is no whole number from 0");
    i64 last = t.offset, step = 0;
    bool far = false, overflow = false;
    for (size_t i = 0; i < sizes.size(); ++i) {
      overflow |= __builtin_mul_overflow(t.numel, extents[i], &t.numel);
      far |= __builtin_mul_overflow(extents[i] - 1, t.strides[i], &step) || __builtin_add_overflow(last, step, &last);
    }
    check(!overflow, "the size of a tensor overflows");
    const i64 stored = tree_.storages[t.storage].numel;
    check(t.numel == 0 ? t.offset <= stored : !far && last < stored,
          "a tensor reaches outside its storage of {} elements", stored);
    t.shape = Shape(std::span<const i64>(extents.data(), sizes.size()));
    budget_.take(sizeof(PickleTensor));
    tree_.tensors.push_back(t);
    push({Kind::tensor, static_cast<u32>(tree_.tensors.size() - 1)});
  }

  struct Memo {
    PickleValue value;
    bool known = false;
  };

  std::string where_;
  MemoryBudget& budget_;
  PickleLimits limits_;
  PickleTree tree_;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;
  std::vector<Memo> memo_;
  size_t at_ = 0, opcode_at_ = 0;
};

}  // namespace detail

/// Reads a pickle without executing anything: the opcodes of protocol 2, dictionaries, lists, texts, integers and
/// tensors. Every other class or function becomes an inert object whose name is kept, unless it leads to the system
/// (os, subprocess, eval, ...): then the file is refused with the name. where begins the messages. Throws
/// Error{weights}. No recursion; memory is taken from the budget. Source: CPython pickletools.py; formats.md 3.2.
inline PickleTree read_pickle(std::vector<u8> bytes, const std::string& where, MemoryBudget& budget,
                              const PickleLimits& limits = {}) {
  require(static_cast<i64>(bytes.size()) <= limits.pickle, ErrorKind::weights, "{}: {} of pickle, at most {}", where,
          size_text(static_cast<i64>(bytes.size())), size_text(limits.pickle));
  return detail::PickleMachine(std::move(bytes), where, budget, limits).run();
}

}  // namespace dino::inline DINO_ABI
