#include <dino/eval/backbone.hpp>
#include <dino/io/weight_export.hpp>
#include <dino/nn/dinov2.hpp>
#include <dino/io/file.hpp>

#include "support/golden.hpp"
#include "support/pth_files.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

BackboneInfo tiny() {
  return {.vit = {.image_size = 8, .patch_size = 4, .dim = 6, .depth = 2, .heads = 3},
          .mean = {0.4914f, 0.4822f, 0.4465f},
          .deviation = {0.247f, 0.2435f, 0.2616f},
          .name = "tiny",
          .source = "test"};
}

Image picture(i64 width, i64 height) {
  Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<u8>(i * 37 % 251);
  return image;
}

void write(const std::filesystem::path& path, Backbone<float, Host>& net, const BackboneInfo& info) {
  std::filesystem::create_directories(path.parent_path());
  export_backbone(path, net.params(), info, "");
}

/// A checkpoint with other weights for student and teacher.
void write_checkpoint(const std::filesystem::path& path, Backbone<float, Host>& student, Backbone<float, Host>& teacher,
                      bool described) {
  auto views = parameter_views(student.params(), "", "student.backbone.");
  for (auto& view : parameter_views(teacher.params(), "", "teacher.backbone.")) views.push_back(view);
  const std::string model = described ? ",\"model\":" + json_text(model_text(tiny())) : "";
  write_safetensors(path, views, {{"dino.kind", "checkpoint"}, {"dino.state", "{\"v\":1,\"step\":5" + model + "}"}});
}

}  // namespace

TEST_CASE("backbone: an export loads with equal bits", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(2);
  Backbone<float, Host> net(ctx, tiny(), 5);
  write(folder / "b.safetensors", net, tiny());
  auto loaded = load_backbone<float>(ctx, folder / "b.safetensors");
  CHECK(loaded.dim() == 6);
  CHECK(loaded.info().name == "tiny");
  CHECK(loaded.info().vit.heads == 3);
  CHECK(to_vector(loaded.params().values()) == to_vector(net.params().values()));
  const auto image = picture(8, 8);
  CHECK(to_vector(loaded(image)) == to_vector(net(image)));
  CHECK(loaded(image).shape() == Shape{1, 6});
}

TEST_CASE("backbone: a picture is prepared as in the run that made the file", "[eval]") {
  HostContext ctx(1);
  Backbone<float, Host> net(ctx, tiny(), 5);
  const auto transform = net.transform();
  CHECK(transform.size == 8);
  CHECK(transform.mean == tiny().mean);
  CHECK(transform.deviation == tiny().deviation);
  const auto image = picture(21, 13);
  std::vector<float> pixels(3 * 8 * 8);
  transform.write(image, pixels.data());
  CHECK(to_vector(net(image)) == to_vector(net(tensor(ctx, {1, 3, 8, 8}, pixels))));
}

TEST_CASE("backbone: a loaded one may be moved", "[eval]") {
  HostContext ctx(1);
  Backbone<float, Host> net(ctx, tiny(), 5);
  const auto before = to_vector(net(picture(8, 8)));
  const auto moved = std::move(net);
  CHECK(to_vector(moved(picture(8, 8))) == before);
}

TEST_CASE("backbone: the folder of a run stands for what it exported", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  Backbone<float, Host> net(ctx, tiny(), 5);
  CHECK_THROWS_WITH(load_backbone<float>(ctx, folder.path),
                    contains("is a folder without export/teacher_backbone.safetensors: not a finished run"));
  write(folder / "export/teacher_backbone.safetensors", net, tiny());
  auto loaded = load_backbone<float>(ctx, folder.path);
  CHECK(to_vector(loaded.params().values()) == to_vector(net.params().values()));
}

TEST_CASE("backbone: a checkpoint gives the teacher, or the student on request", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  Backbone<float, Host> student(ctx, tiny(), 1), teacher(ctx, tiny(), 2);
  write_checkpoint(folder / "step.safetensors", student, teacher, true);
  const auto weights = [&](Backbone<float, Host> net) { return to_vector(net.params().values()); };
  CHECK(weights(load_backbone<float>(ctx, folder / "step.safetensors")) == to_vector(teacher.params().values()));
  CHECK(weights(load_backbone<float>(ctx, folder / "step.safetensors", "student")) ==
        to_vector(student.params().values()));
  write_checkpoint(folder / "old.safetensors", student, teacher, false);
  CHECK_THROWS_WITH(load_backbone<float>(ctx, folder / "old.safetensors"), contains("has no description of its model"));
}

TEST_CASE("backbone: files that are missing, undescribed or of another shape are refused", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  Backbone<float, Host> net(ctx, tiny(), 5);
  CHECK_THROWS_WITH(load_backbone<float>(ctx, folder / "none.safetensors"), contains("no such file or folder"));
  write_safetensors(folder / "plain.safetensors", parameter_views(net.params()), {});
  CHECK_THROWS_WITH(load_backbone<float>(ctx, folder / "plain.safetensors"),
                    contains("has no description of its model"));
  auto other = tiny();
  other.vit.dim = 12;
  other.vit.depth = 1;
  write(folder / "shapes.safetensors", net, other);
  CHECK_THROWS_WITH(
      load_backbone<float>(ctx, folder / "shapes.safetensors"),
      contains("cls_token is (1,1,6), the model needs (1,1,12)") && contains("unexpected: blocks.1.attn.proj.bias"));
  write_file_atomic(folder / "text.safetensors", "not weights");
  CHECK_THROWS_AS(load_backbone<float>(ctx, folder / "text.safetensors"), Error);
}

TEST_CASE("backbone: first values follow the seed", "[eval]") {
  HostContext ctx(1);
  Backbone<float, Host> a(ctx, tiny(), 1), b(ctx, tiny(), 1), c(ctx, tiny(), 2);
  CHECK(to_vector(a.params().values()) == to_vector(b.params().values()));
  CHECK(to_vector(a.params().values()) != to_vector(c.params().values()));
}

TEST_CASE("backbone: a PyTorch file gives the same bits, as backbone and as full checkpoint", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  BackboneInfo info;  // pixels as for ImageNet: the file does not say
  info.vit = {.image_size = 8, .patch_size = 4, .dim = 64, .depth = 2, .heads = 1};
  Backbone<float, Host> student(ctx, info, 1), teacher(ctx, info, 2);
  std::vector<pth::Record> data;
  const auto plain = pth::dict(pth::entries(parameter_views(teacher.params()), data));
  write_file_atomic(folder / "plain.pth", pth::file(plain, data));
  auto loaded = load_backbone<float>(ctx, folder / "plain.pth");
  CHECK(to_vector(loaded.params().values()) == to_vector(teacher.params().values()));
  CHECK(to_vector(loaded(picture(8, 8))) == to_vector(teacher(picture(8, 8))));
  data.clear();
  const auto of_student = pth::entries(parameter_views(student.params(), "", "module.backbone."), data),
             of_teacher = pth::entries(parameter_views(teacher.params(), "", "backbone."), data);
  const auto full = pth::dict({{"student", pth::dict(of_student)},
                               {"teacher", pth::dict(of_teacher)},
                               {"epoch", "K\1"},
                               {"args", pth::namespace_object()}});
  write_file_atomic(folder / "full.pth", pth::file(full, data));
  auto first = load_backbone<float>(ctx, folder / "full.pth");
  auto second = load_backbone<float>(ctx, folder / "full.pth", "student");
  CHECK(to_vector(first.params().values()) == to_vector(teacher.params().values()));
  CHECK(to_vector(second.params().values()) == to_vector(student.params().values()));
  CHECK(loaded.unused().empty());
  CHECK(first.unused() == "student.*, epoch, args (argparse.Namespace)");
  CHECK(second.unused() == "teacher.*, epoch, args (argparse.Namespace)");
}

TEST_CASE("backbone: the same weights under every library's names give the same features", "[eval]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  BackboneInfo info;
  info.vit = dinov2({.patch_size = 4, .dim = 64, .depth = 2, .heads = 1, .mlp_ratio = 2}, GENERATE(0, 4));
  info.vit.image_size = 12;
  info.vit.mlp = info.vit.registers > 0 ? MlpKind::swiglu : MlpKind::gelu;
  info.vit.token_std = 0.5;
  if (info.vit.mlp == MlpKind::swiglu) info.vit.mlp_ratio = 4;
  Backbone<double, Host> net(ctx, info, 3);
  const auto views = parameter_views(net.params());
  write_safetensors(folder / "hub.safetensors", views, {});
  write_safetensors(folder / "hf.safetensors", hugging_face_views(views, true), {});
  const auto expected = to_vector(net(picture(12, 12)));
  const auto features = [&](const char* file) { return to_vector(load_backbone<double>(ctx, folder / file)(picture(12, 12))); };
  CHECK(features("hub.safetensors") == expected);
  CHECK(features("hf.safetensors") == expected);
  write_safetensors(folder / "timm.safetensors", timm_views(views), {});
  const auto timm = features("timm.safetensors");  // with registers the class token is added to its position in float
  for (size_t i = 0; i < expected.size(); ++i) CHECK(timm[i] == Approx(expected[i]).epsilon(1e-5).margin(1e-6));
}
