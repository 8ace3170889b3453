// The table of docs/odd_files.md, row by row: each file is made, read as a user would read it, and what happens is what
// the page says.
#include <dino/io/weight_names.hpp>
#include <dino/io/weights.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"
#include "support/quotations.hpp"
#include "support/temporary_folder.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> live{0}, peak{0};  // bytes from operator new

void* counted(void* at) {
  if (!at) throw std::bad_alloc();
  const size_t now = live += ::malloc_usable_size(at);
  for (size_t most = peak; now > most && !peak.compare_exchange_weak(most, now);) {
  }
  return at;
}
void release(void* at) noexcept {
  if (at) live -= ::malloc_usable_size(at);
  std::free(at);
}

}  // namespace

void* operator new(size_t size) { return counted(std::malloc(size)); }
void* operator new(size_t size, std::align_val_t to) {
  const auto unit = static_cast<size_t>(to);
  return counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}
void operator delete(void* at) noexcept { release(at); }
void operator delete(void* at, size_t) noexcept { release(at); }
void operator delete(void* at, std::align_val_t) noexcept { release(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept { release(at); }

namespace {

using namespace dino;
using namespace std::string_literals;

/// A file of the table, and what must come of it: the tensors in these words, or a message with these words in it.
struct OddFile {
  std::string name, bytes, expected;
  bool loads = false;
};

// PyTorch files

const auto six = pth::storage("FloatStorage", "0", 6);
const auto two_by_three = pth::tensor(six, 0, {2, 3}, {3, 1});
const std::string six_numbers = pth::bytes_of<float>({0, 1, 2, 3, 4, 5});

/// {t: (2,3), and what else stands beside it}
std::string beside(const std::string& key, const std::string& value) {
  return pth::file(pth::dict({{"t", two_by_three}, {key, value}}), {{"0", six_numbers}});
}
std::string one_tensor(const std::string& tensor) {
  return pth::file(pth::dict({{"t", tensor}}), {{"0", six_numbers}});
}
std::string with_pickle(const std::string& pickle) {
  return pth::zip({{"archive/data.pkl", pickle}, {"archive/data/0", six_numbers}, {"archive/version", "3\n"}});
}
/// A call of a function in a file.
std::string call(const std::string& module, const std::string& name, const std::vector<std::string>& arguments) {
  return pth::global(module, name) + pth::tuple(arguments) + "R";
}
/// With other bytes at `by` from the nth place where the signature stands.
std::string patched(std::string bytes, const std::string& signature, int nth, size_t by, const std::string& to) {
  size_t at = bytes.find(signature);
  while (nth-- > 0) at = bytes.find(signature, at + 1);
  REQUIRE(at != bytes.npos);
  return bytes.replace(at + by, to.size(), to);
}

std::string full_checkpoint() {
  return pth::file(pth::dict({{"student", pth::dict({{"module.backbone.t", two_by_three}})},
                              {"teacher", pth::dict({{"backbone.t", two_by_three}})},
                              {"epoch", "K\7"},
                              {"args", pth::namespace_object()}}),
                   {{"0", six_numbers}});
}

std::string lightning() {
  const auto state = pth::global("collections", "OrderedDict") + ")R(" + pth::text("model.t") + two_by_three + "u";
  return pth::file(pth::dict({{"epoch", "K\3"},
                              {"pytorch-lightning_version", pth::text("2.4.0")},
                              {"state_dict", state},
                              {"callbacks", pth::dict({{"ModelCheckpoint", pth::dict({{"best", "N"}})}})},
                              {"optimizer_states", "]"},
                              {"hyper_parameters", call("pathlib", "PosixPath", {pth::text("/data")})}}),
                   {{"0", six_numbers}});
}

/// Dictionaries that share their parts: 2^60 names in a few hundred bytes.
std::string shared_dictionaries() {
  pth::Items levels{{"0", pth::dict({{"t", two_by_three}}) + "q\1"}};
  for (int i = 1; i <= 60; ++i) levels.push_back({std::to_string(i), pth::dict({{"a", "h\1"}, {"b", "h\1"}}) + "q\1"});
  return pth::file(pth::dict(levels), {{"0", six_numbers}});
}

std::vector<OddFile> pth_that_load() {
  const std::string numbers = "t (2,3) F32: 0 1 2 3 4 5";
  const auto hooks = pth::global("collections", "OrderedDict") + ")R";
  const auto quantized = call("torch._utils", "_rebuild_qtensor",
                              {pth::storage("QInt8Storage", "1", 6), "K\0"s, pth::numbers({2, 3}), pth::numbers({3, 1}),
                               pth::tuple({pth::global("torch", "per_tensor_affine")}), "\x89", hooks});
  const auto sparse =
      call("torch._utils", "_rebuild_sparse_tensor",
           {call("torch.serialization", "_get_layout", {pth::text("torch.sparse_coo")}), pth::tuple({two_by_three})});
  const auto array =
      call("numpy._core.multiarray", "_reconstruct", {pth::global("numpy", "ndarray"), pth::numbers({0})}) +
      pth::tuple({"K\1", call("numpy", "dtype", {pth::text("O8")})}) + "b";
  const auto partial = call("functools", "partial", {pth::global("torch.nn.modules.normalization", "LayerNorm")});
  return {
      {"full_checkpoint.pth", full_checkpoint(),
       "student.module.backbone.t (2,3) F32: 0 1 2 3 4 5; teacher.backbone.t (2,3) F32: 0 1 2 3 4 5; not used: epoch, "
       "args (argparse.Namespace)",
       true},
      {"lightning.ckpt", lightning(),
       "state_dict.model.t (2,3) F32: 0 1 2 3 4 5; not used: epoch, pytorch-lightning_version, optimizer_states, "
       "hyper_parameters (pathlib.PosixPath)",
       true},
      {"pytorch_model.bin", one_tensor(two_by_three), numbers, true},
      {"transposed.pth", one_tensor(pth::tensor(six, 0, {3, 2}, {1, 3})), "t (3,2) F32: 0 3 1 4 2 5", true},
      {"expanded.pth", one_tensor(pth::tensor(six, 4, {3, 2}, {0, 1})), "t (3,2) F32: 4 5 4 5 4 5", true},
      {"shared_storage.pth", beside("row", pth::tensor(six, 3, {3}, {1})), "row (3) F32: 3 4 5; " + numbers, true},
      {"int8.pth",
       pth::file(pth::dict({{"t", pth::tensor(pth::storage("CharStorage", "0", 2), 0, {2}, {1})}}), {{"0", "\xff\2"}}),
       "t (2) I32: -1 2", true},
      {"empty_tensor.pth",
       pth::file(pth::dict({{"e", pth::tensor(pth::storage("FloatStorage", "0", 0), 0, {0, 3}, {3, 1})}}), {{"0", ""}}),
       "e (0,3) F32:", true},
      {"quantized_beside.pth", beside("q", quantized), numbers + "; not used: q (torch._utils._rebuild_qtensor)", true},
      {"sparse_beside.pth", beside("s", sparse), numbers + "; not used: s (torch._utils._rebuild_sparse_tensor)", true},
      {"numpy_objects_beside.pth", beside("a", array), numbers + "; not used: a (numpy._core.multiarray._reconstruct)",
       true},
      {"partial_beside.pth", beside("f", partial), numbers + "; not used: f (functools.partial)", true},
      {"zip64.pth",
       pth::file(pth::dict({{"t", two_by_three}}), {{"0", six_numbers}}, {.wide_entries = true, .comment = "PK\5\6"}),
       numbers, true},
  };
}

std::vector<OddFile> hostile_pth() {
  const auto deep = [](const std::string& inner) {
    std::string calls = inner;
    for (int i = 0; i < 1000; ++i) calls = pth::global("a", "f") + calls + "\x85R";
    return calls;
  };
  const auto good = one_tensor(two_by_three);
  const auto huge = pth::tensor(six, 0, {i64{1} << 40}, {0});
  return {
      {"os_system.pth", beside("x", call("os", "system", {pth::text("echo owned")})), "os.system"},
      {"posix_system.pth", beside("x", call("posix", "system", {pth::text("echo owned")})), "posix.system"},
      {"eval.pth", beside("x", call("builtins", "eval", {pth::text("1")})), "builtins.eval"},
      {"getattr.pth", beside("x", call("functools", "partial", {pth::global("__builtin__", "getattr")})),
       "__builtin__.getattr"},
      {"nested_calls.pth", beside("x", deep(call("subprocess", "Popen", {pth::text("sh")}))), "subprocess.Popen"},
      {"memo_bomb.pth", with_pickle("\x80\2Nr"s + pth::le<u32>(9'999'999) + "."), "would need more than"},
      {"stack_bomb.pth", with_pickle("\x80\2"s + std::string(200'000, '(')), "more than 100000 marks"},
      {"tensor_bomb.pth", one_tensor(huge), "would need more than"},
      {"name_bomb.pth", shared_dictionaries(), "would need more than"},
      {"itself_inside.pth", with_pickle("\x80\2}q\1"s + pth::text("a") + "h\1s."), "nested too deep"},
      {"outside_storage.pth", one_tensor(pth::tensor(six, 4, {3}, {1})), "reaches outside its storage"},
      {"path_outside.pth", pth::zip({{"archive/data.pkl", "."}, {"archive/../../etc/passwd", "x"}}),
       "the record name 'archive/../../etc/passwd' is refused"},
      {"record_twice.pth", pth::zip({{"a/data.pkl", "."}, {"a/data/0", "1"}, {"a/data/0", "2"}}), "two records"},
      {"zip_bomb.pth", patched(good, "PK\1\2", 1, 10, pth::le<u16>(8)), "is compressed (method 8)"},
      {"huge_record.pth", patched(good, "PK\1\2", 1, 20, std::string(8, '\x7f')), "lies outside the file"},
      {"overlapping.pth", patched(good, "PK\1\2", 1, 42, pth::le<u32>(0)), "overlaps what stands beside it"},
      {"negated_view.pth",
       one_tensor(pth::global("torch._utils", "_rebuild_tensor_v2") +
                  pth::tuple({six, pth::integer(0), pth::numbers({6}), pth::numbers({1}), "\x89",
                              pth::global("collections", "OrderedDict") + ")R", pth::dict({{"neg", "\x88"}})}) +
                  "R"),
       "negates or conjugates"},
  };
}

std::vector<OddFile> broken_pth() {
  const auto good = one_tensor(two_by_three);
  return {
      {"cut.pth", good.substr(0, good.size() - 100), "the zip archive has no end"},
      {"cut_in_front.pth", good.substr(1), "not a PyTorch file"},
      {"wrong_offset.pth", patched(good, "PK\1\2", 2, 42, pth::le(static_cast<u32>(good.rfind("PK\3\4") + 1))),
       "not where the directory says"},
      {"flipped_bit.pth", patched(good, six_numbers, 0, 9, "\x81"), "is damaged (wrong CRC-32)"},
      {"lost_record.pth", pth::file(pth::dict({{"t", two_by_three}}), {}), "there is no record archive/data/0"},
      {"encrypted.pth", patched(good, "PK\1\2", 1, 8, "\1"), "is encrypted"},
      {"split.pth", patched(good, "PK\5\6", 0, 4, "\1"), "several disks"},
      {"first_part.pth", "PK\7\x8" + good, "the first part of a zip archive"},
      {"before_1.6.pth", pth::unhex("80028a0a6cfc9c46f9206aa850192e80024de9032e"), "old PyTorch format"},
      {"torchscript.pt", pth::zip({{"m/data.pkl", "."}, {"m/code/m.py", "pass"}, {"m/constants.pkl", "."}}),
       "a TorchScript program"},
      {"big_endian.pth", pth::zip({{"a/data.pkl", pth::golden_pickle()}, {"a/byteorder", "big"}}), "big-endian"},
      {"protocol_4.pth", with_pickle("\x80\4\x95"s + pth::le<u64>(2) + "}."), "opcode 0x95"},
      {"whole_model.pth", with_pickle(pth::pickle(pth::global("models.vit", "ViT") + ")\x81}b")),
       "a Python object (models.vit.ViT)"},
      {"bare_tensor.pth", with_pickle(pth::pickle(two_by_three)), "holds no dictionary of tensors"},
      {"complex_only.pth",
       pth::file(pth::dict({{"c", pth::tensor(pth::storage("ComplexFloatStorage", "0", 3), 0, {3}, {1})}}),
                 {{"0", six_numbers}}),
       "there is no tensor in it, only: c (torch.ComplexFloatStorage)"},
      {"pickle_of_python.pth", pth::pickle("}"), "a pickle of Python"},
      {"arrays.npz.pth", pth::zip({{"t.npy", "\x93NUMPY"}}), "an archive of numpy arrays"},
      {"really_safetensors.pth", pth::le<u64>(2) + "{}", "Rename it so that its name ends in .safetensors"},
  };
}

// Other files, under the names that people give them.

std::vector<OddFile> foreign() {
  const std::string tar = "model/" + std::string(251, '\0') + "ustar" + std::string(250, '\0');
  return {
      {"empty.pth", "", "empty"},
      {"zeros.safetensors", std::string(4096, '\0'), "nothing but zeros"},
      {"git_lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 343214912\n",
       "git lfs pull"},
      {"web_page.pth", "\n<!DOCTYPE HTML>\n<html><title>Sign in</title></html>", "a web page"},
      {"refusal_of_server.bin", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML text"},
      {"index.json.safetensors", R"({"metadata": {}, "weight_map": {"t": "model-00001-of-00002.safetensors"}})",
       "a JSON text"},
      {"llama.gguf", "GGUF\3" + std::string(60, '\0'), "a GGUF file"},
      {"model.onnx", "\x08\x08\x12\x07pytorch\x1a\x05" + "2.1.0:"s, "an ONNX model"},
      {"weights.h5", "\x89HDF\r\n\x1a\n" + std::string(60, '\0'), "an HDF5 file"},
      {"array.npy", "\x93NUMPY\1" + std::string(60, '\0'), "an array of numpy"},
      {"packed.pth", "\x1f\x8b\x08" + std::string(60, '\0'), "gunzip"},
      {"archive.pth", tar, "a tar archive"},
      {"picture.pth", "\x89PNG\r\n\x1a\n" + std::string(60, '\0'), "a PNG picture"},
      {"text.pth", "my weights", "not a PyTorch file"},
      {"really_pth.safetensors", pth::small_file(), "Rename it so that its name ends in .pth"},
  };
}

// safetensors files

std::string safetensors(const std::string& header, const std::string& data = six_numbers) {
  return pth::le<u64>(header.size()) + header + data;
}
std::string fields(const std::string& text, const std::string& data = six_numbers) {
  return safetensors(R"({"t":{)" + text + "}}", data);
}

std::vector<OddFile> odd_safetensors() {
  const std::string right = R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24])";
  const std::string other = R"("dtype":"F32","shape":[6],"data_offsets":)";
  return {
      {"empty_tensor.safetensors", fields(R"("dtype":"F32","shape":[0,3],"data_offsets":[0,0])", ""),
       "t (0,3) F32:", true},
      {"unaligned.safetensors",
       safetensors(R"( {"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                   R"("t":{"dtype":"F32","shape":[2,3],"data_offsets":[1,25]}})",
                   "\7" + six_numbers),
       "b (1) U8: 7; t (2,3) F32: 0 1 2 3 4 5", true},
      {"cut.safetensors", fields(right, six_numbers.substr(0, 20)), "the tensors need 24 bytes, the file has 20"},
      {"longer.safetensors", fields(right, six_numbers + "x"), "the tensors need 24 bytes, the file has 25"},
      {"cut_header.safetensors", fields(right).substr(0, 40), "exceeds the file"},
      {"huge_header.safetensors", pth::le(u64{1} << 62) + "{}", "exceeds the file"},
      {"deep_header.safetensors", safetensors(std::string(100'000, '['), ""), "expected an opening brace"},
      {"duplicate_key.safetensors", safetensors(R"({"t":{)" + right + R"(},"t":{)" + right + "}}"),
       "duplicate tensor t"},
      {"overlap.safetensors", safetensors(R"({"t":{)" + right + R"(},"u":{)" + other + "[8,32]}}"),
       "expected to begin at 24"},
      {"hole.safetensors", safetensors(R"({"t":{)" + right + R"(},"u":{)" + other + "[32,56]}}"),
       "expected to begin at 24"},
      {"overflow.safetensors", fields(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24])"),
       "overflows"},
      {"real_offset.safetensors", fields(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24.0])"),
       "must be an integer"},
      {"int8.safetensors", fields(R"("dtype":"I8","shape":[24],"data_offsets":[0,24])"), "has type I8"},
      {"float8.safetensors", fields(R"("dtype":"F8_E4M3","shape":[24],"data_offsets":[0,24])"), "has type F8_E4M3"},
      {"unknown_type.safetensors", fields(R"("dtype":"F33\u001b[2J","shape":[2,3],"data_offsets":[0,24])"),
       "unknown type F33?[2J"},
      {"not_utf8.safetensors", safetensors("{\"\xff\":{" + right + "}}"), "is not UTF-8"},
      {"number_in_metadata.safetensors", safetensors(R"({"__metadata__":{"epoch":3},"t":{)" + right + "}}"),
       "__metadata__ holds strings only"},
      {"wrong_sum.safetensors",
       safetensors(R"({"__metadata__":{"dino.crc32c":"{\"t\":\"00000000\"}"},"t":{)" + right + "}}"),
       "data of t is damaged"},
  };
}

/// name (shape) type: numbers; ...; not used: what the file holds beside.
std::string described(const StateDict& file) {
  std::string text;
  for (const auto& [name, tensor] : file.tensors) {
    text += (text.empty() ? "" : "; ") + str("{} {} {}:", name, tensor.shape, tensor.dtype);
    if (detail::is_real(tensor.dtype)) {
      for (const float x : tensor.to<float>()) text += str(" {}", x);
    } else {
      for (const i64 x : tensor.to<i64>()) text += str(" {}", x);
    }
  }
  const auto ignored = file.metadata.find("pth.ignored");
  return ignored == file.metadata.end() ? text : text + "; not used: " + ignored->second;
}

std::filesystem::path page() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "docs" / "odd_files.md";
}

/// The last column of the page's tables by the first: what happens with a file.
std::map<std::string, std::string> rows_of_page() {
  std::map<std::string, std::string> rows;
  std::istringstream lines(read_text(page()));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `") || !line.ends_with("` |")) continue;
    const auto name = line.substr(3, line.find('`', 3) - 3);
    const auto begin = line.rfind("| `") + 3;
    INFO(name);
    CHECK(rows.emplace(name, line.substr(begin, line.size() - 3 - begin)).second);
  }
  return rows;
}

/// True when a message says what to do.
bool has_remedy(const std::string& message) {
  const auto words = {"Copy or download",
                      "Save ",
                      "save ",
                      "Rename it",
                      "Unpack",
                      "unpack",
                      "Fetch",
                      "Convert",
                      "convert to",
                      "Get the file",
                      "get the weights",
                      "Join the parts",
                      "Use the file",
                      "Give ",
                      "ive the file",
                      "Load it",
                      "load it",
                      "Download the file",
                      "download the file",
                      "Pictures go to"};
  return std::any_of(words.begin(), words.end(), [&](const char* w) { return message.find(w) != message.npos; });
}

}  // namespace

TEST_CASE("odd files: each gets what the table of the documentation says, and no more memory than promised") {
  const TemporaryFolder folder;
  auto rows = rows_of_page();
  size_t files = 0;
  for (const auto& group : {pth_that_load(), hostile_pth(), broken_pth(), foreign(), odd_safetensors()}) {
    for (const auto& file : group) {
      INFO(file.name);
      ++files;
      const auto path = folder / file.name;
      write_file_atomic(path, file.bytes);
      std::string text;
      const size_t before = live;
      peak = before;
      try {
        text = described(read_weights(path));
        CHECK(file.loads);
        CHECK(text == file.expected);
      } catch (const Error& error) {
        text = error.what();
        CHECK(error.kind() == ErrorKind::weights);
        CHECK_FALSE(file.loads);
        CHECK_THAT(text, contains(file.expected));
        CHECK(text.starts_with(path.string() + ": "));  // the file first
        text = text.substr(folder.path.string().size() + 1);
        CHECK(has_remedy(text));
      }
      CHECK(peak - before <= 4 * file.bytes.size() + (size_t{16} << 20));
      CHECK(rows[file.name] == text);
      rows.erase(file.name);
    }
  }
  CHECK(files >= 40);
  for (const auto& [name, text] : rows) FAIL_CHECK("the page has a row for " << name << ", which is not tested");
}
