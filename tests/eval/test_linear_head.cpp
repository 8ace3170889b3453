#include <dino/eval/classifier.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const auto goldens = std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "linear_heads";

const golden::File& reference() {
  static const golden::File file("linear_heads/logits.safetensors");
  return file;
}

/// The text of the error of kind weights that f must throw.
template <class F> std::string refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    return error.what();
  }
  FAIL("nothing was thrown");
  return "";
}

/// Logits of the golden images by the golden backbone with a head, in T.
template <class T> std::vector<T> logits(const std::string& head, const ProbeHint& hint) {
  HostContext ctx(2);
  auto weights = read_classifier(goldens / "backbone.pth");
  weights.set_head(read_linear_head(goldens / head, weights.info.vit, hint));
  ParamStore<T, Host> params(ctx);
  const Classifier<T, Host> model(Scope{params}, weights.info.vit, weights.outputs(), weights.input);
  params.finalize();
  load_classifier(params, weights, true);
  return to_vector(model(reference().tensor<T>(ctx, "images")));
}

/// A file with a head of these sizes under a name, and what it says about itself.
StateDict file_of(i64 classes, i64 columns, Metadata words = {}, const std::string& front = "linear.") {
  StateDict file;
  std::vector<float> weight(static_cast<size_t>(classes * columns)), bias(static_cast<size_t>(classes));
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i);
  file.add(front + "weight", tensor_data({classes, columns}, weight));
  file.add(front + "bias", tensor_data({classes}, bias));
  file.metadata = std::move(words);
  return file;
}

const VitConfig small{.dim = 6, .depth = 3, .heads = 2};

std::string refused(const StateDict& file, const ProbeHint& hint = {}) {
  return refusal([&] { linear_head(file, small, hint, "f"); });
}

}  // namespace

TEST_CASE("linear head: files of eval_linear.py of DINO give the logits of PyTorch", "[eval][golden]") {
  const ProbeHint pooled{.blocks = {}, .pooled = true};  // 2 C columns of another model than ViT-B
  for (const auto& [name, hint] : {std::pair{std::string("blocks"), ProbeHint{}}, {"pooled", pooled}, {"token", {}}}) {
    INFO(name);
    const double exact = name == "token" ? 1e-12 : 1e-7;  // features of several tokens pass through float
    CHECK(golden::relative_error(logits<double>(name + ".pth", hint), reference().values(name)) <= exact);
    CHECK(golden::relative_error(logits<float>(name + ".pth", hint), reference().values(name)) <= 1e-5);
  }
  // Read as two blocks, the same columns are something else.
  CHECK(golden::relative_error(logits<double>("pooled.pth", {}), reference().values("pooled")) > 0.1);
}

TEST_CASE("linear head: what it sees follows from its width, and a hint decides", "[eval]") {
  const auto sees = [](i64 columns, const VitConfig& vit, const ProbeHint& hint = {}) {
    return infer_probe_input(columns, vit, hint, "f");
  };
  // The released heads: ViT-S with four blocks, ViT-B with one and pooling.
  CHECK(sees(1536, vit_small(8)) == ProbeInput{4, false});
  CHECK(sees(1536, vit_base(8)) == ProbeInput{1, true});
  CHECK(sees(768, vit_base(16)) == ProbeInput{1, false});
  CHECK(sees(768, vit_small(16)) == ProbeInput{2, false});
  CHECK(sees(1536, vit_base(8), {2, {}}) == ProbeInput{2, false});
  CHECK(sees(1536, vit_base(8), {{}, false}) == ProbeInput{2, false});
  CHECK(sees(768, vit_small(8), {1, {}}) == ProbeInput{1, true});
  CHECK(sees(768, vit_small(8), {{}, true}) == ProbeInput{1, true});
  CHECK(sees(1920, vit_small(8), {4, {}}) == ProbeInput{4, true});
  CHECK(sees(1920, vit_small(8), {{}, true}) == ProbeInput{4, true});
  CHECK(sees(1920, vit_small(8)) == ProbeInput{5, false});
  VitConfig wide = vit_base(16);  // as wide as ViT-B, and another model
  wide.depth = 6;
  CHECK(sees(1536, wide) == ProbeInput{2, false});
}

TEST_CASE("linear head: columns come in the order of the features, whatever the file has", "[eval]") {
  const auto plain = linear_head(file_of(2, 12), small, {}, "f");
  CHECK(plain.input == ProbeInput{2, false});
  CHECK(plain.tensors.at("weight").to<float>()[1] == 1.0f);
  const auto turned = linear_head(file_of(2, 12), small, {1, true}, "f");  // columns 0, 2, 4 ... are the class token's
  const auto weight = turned.tensors.at("weight").to<float>();
  CHECK(std::vector<float>(weight.begin(), weight.begin() + 12) ==
        std::vector<float>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11});
  CHECK(linear_head(file_of(2, 18), small, {2, true}, "f").tensors.at("weight").to<float>()[1] == 1.0f);
}

TEST_CASE("linear head: a written file comes back", "[eval]") {
  TemporaryFolder folder;
  const BackboneInfo info{.vit = small, .name = "tiny"};
  for (const ProbeInput input : {ProbeInput{1, false}, {1, true}, {2, false}, {3, true}}) {
    INFO(input.text());
    LinearHead head{input, file_of(2, input.dim(6), {}, ""), {"cat", "dog"}};
    write_linear_head(folder / "h.safetensors", head, info);
    const auto back = read_linear_head(folder / "h.safetensors", small, {});
    CHECK(back.input == input);
    CHECK(back.classes == head.classes);
    CHECK(back.outputs() == 2);
    CHECK(back.tensors.at("weight").to<float>() == head.tensors.at("weight").to<float>());
    CHECK(back.tensors.at("bias").to<float>() == head.tensors.at("bias").to<float>());
    const ProbeHint wrong{input.blocks + 1, {}}, right{input.blocks, input.pooled};
    CHECK_THAT(refusal([&] { read_linear_head(folder / "h.safetensors", small, wrong); }),
               contains("as the file says. Leave --n-last-blocks and --avgpool-patchtokens out"));
    CHECK(read_linear_head(folder / "h.safetensors", small, right).input == input);
  }
}

TEST_CASE("linear head: files that are none, or of another backbone, are refused", "[eval]") {
  CHECK_THAT(refused(file_of(2, 13)), contains("linear.weight has 13 columns, a token of the backbone 6 values"));
  CHECK_THAT(refused(file_of(2, 5)), contains("a head of another backbone"));
  CHECK_THAT(refused(file_of(2, 0)), contains("linear.weight has 0 columns"));
  CHECK_THAT(refused(file_of(2, 24)),
             contains("4 tokens of 6 values. They cannot be class tokens of 4 last blocks (the "
                      "backbone has 3 blocks)") &&
                 contains("--n-last-blocks, --avgpool-patchtokens"));
  CHECK_THAT(refused(file_of(2, 12), {3, {}}), contains("They cannot be class tokens of 3 last blocks"));
  CHECK_THAT(refused(file_of(2, 12), {{2}, true}), contains("2 last blocks and mean patch token"));
  CHECK_THAT(refused(file_of(2, 6), {{}, true}), contains("class tokens of 0 last blocks and mean"));
  CHECK_THAT(refused(file_of(2, 6, {}, "head.")),
             contains("0 of its 2 tensors are called linear.weight") && contains("eval_linear.py"));
  auto two = file_of(2, 6, {}, "state_dict.module.linear.");
  two.add("ema.linear.weight", two.at("state_dict.module.linear.weight"));
  CHECK_THAT(refused(two), contains("2 of its 3 tensors are called linear.weight"));
  auto file = file_of(2, 6);
  file.tensors.erase("linear.bias");
  CHECK_THAT(refused(file), contains("linear.weight is (2,6) F32, linear.bias missing"));
  file.add("linear.bias", tensor_data({3}, std::vector<float>(3)));
  CHECK_THAT(refused(file), contains("linear.bias (3) F32; expected (classes,values) and (classes)"));
  file.tensors.clear();
  file.add("linear.weight", tensor_data({2, 6}, std::vector<i64>(12)));
  file.add("linear.bias", tensor_data({2}, std::vector<float>(2)));
  CHECK_THAT(refused(file), contains("linear.weight is (2,6) I64"));
}

TEST_CASE("linear head: what a file says about itself must be readable and fit", "[eval]") {
  const auto words = [](const char* blocks, const char* pooling, const char* layout) {
    return Metadata{{"dino.blocks", blocks}, {"dino.pooling", pooling}, {"dino.layout", layout}};
  };
  for (const char* blocks : {"", "x", "0", "-1", "2x", "99999999999999999999", "1025"}) {
    INFO(blocks);
    CHECK_THAT(refused(file_of(2, 12, words(blocks, "cls", "concatenated"))), contains("does not say what its head"));
  }
  CHECK_THAT(refused(file_of(2, 12, words("2", "max", "concatenated"))), contains("pooling \"max\""));
  CHECK_THAT(refused(file_of(2, 12, words("2", "cls", "interleaved"))), contains("layout \"interleaved\""));
  CHECK_THAT(refused(file_of(2, 12, {{"dino.blocks", "2"}})), contains("pooling \"\", layout \"\""));
  CHECK_THAT(refused(file_of(2, 12, words("3", "cls", "concatenated"))), contains("cannot be class tokens of 3"));
  auto named = words("2", "cls", "concatenated");
  named["dino.classes"] = "[\"a\"]";
  CHECK_THAT(refused(file_of(2, 12, named)), contains("1 names of classes for a head of 2 outputs"));
  named["dino.classes"] = "[\"a\", b]";
  CHECK_THAT(refused(file_of(2, 12, named)), contains("dino.classes"));
}
