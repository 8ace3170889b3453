"""The models of timm and transformers as functions of tensors under the names of torch hub, with the keys of recipe.py.

They hold recipe.py against code of others: gradients flow back into the tensors that are given.
"""
import torch

from recipe import gated, positions


def timm_tokens(p, images, c):
    """All tokens (B,N,C) of timm's model of DINO. It resamples positions in another way: native sizes only."""
    import timm
    model = timm.models.VisionTransformer(
        img_size=c["image_size"], patch_size=c["patch_size"], embed_dim=c["dim"], depth=c["depth"],
        num_heads=c["heads"], mlp_ratio=c["mlp_ratio"], num_classes=0).to(images.dtype)
    model.forward = model.forward_features
    return torch.func.functional_call(model, p, (images,), strict=True)


def transformers_names(p, c):
    """The parameters of transformers' model (5.24), made of p. Without layer scale its scales are 1."""
    names = {"embeddings.cls_token": p["cls_token"], "embeddings.position_embeddings": p["pos_embed"],
             "embeddings.patch_embeddings.projection.weight": p["patch_embed.proj.weight"],
             "embeddings.patch_embeddings.projection.bias": p["patch_embed.proj.bias"],
             "layernorm.weight": p["norm.weight"], "layernorm.bias": p["norm.bias"]}
    if c.get("registers"):
        names["embeddings.register_tokens"] = p["register_tokens"]
    for i in range(c["depth"]):
        block, layer = f"blocks.{i}", f"encoder.layer.{i}"
        for k in (1, 2):
            names[f"{layer}.layer_scale{k}.lambda1"] = p.get(f"{block}.ls{k}.gamma", torch.ones_like(p["norm.bias"]))
        for part in ("weight", "bias"):
            for name in ("norm1", "norm2"):
                names[f"{layer}.{name}.{part}"] = p[f"{block}.{name}.{part}"]
            for name, rows in zip("qkv", p[f"{block}.attn.qkv.{part}"].chunk(3)):
                names[f"{layer}.attention.{name}_proj.{part}"] = rows
            names[f"{layer}.attention.o_proj.{part}"] = p[f"{block}.attn.proj.{part}"]
            if gated(c):
                gate, up = p[f"{block}.mlp.w12.{part}"].chunk(2)
                names[f"{layer}.mlp.gate_proj.{part}"], names[f"{layer}.mlp.up_proj.{part}"] = gate, up
                names[f"{layer}.mlp.down_proj.{part}"] = p[f"{block}.mlp.w3.{part}"]
            else:
                for name in ("fc1", "fc2"):
                    names[f"{layer}.mlp.{name}.{part}"] = p[f"{block}.mlp.{name}.{part}"]
    return names


def transformers_tokens(p, images, c):
    """All tokens (B,N,C) of transformers' DINOv2, and the last attention (B,H,N,N).

    It resamples positions in float and without an offset; here it is given those of recipe.py.
    """
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    settings = dict(hidden_size=c["dim"], num_hidden_layers=c["depth"], num_attention_heads=c["heads"],
                    mlp_ratio=c["mlp_ratio"], patch_size=c["patch_size"], image_size=c["image_size"],
                    use_swiglu_ffn=gated(c), layer_norm_eps=1e-6, attn_implementation="eager")
    if c.get("registers"):
        model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_register_tokens=c["registers"], **settings))
    else:
        model = Dinov2Model(Dinov2Config(**settings))
    model = model.to(images.dtype).eval()
    names = transformers_names(p, c)
    unused = {name for name, _ in model.named_parameters()} - set(names) - {"embeddings.mask_token"}
    assert not unused, unused

    def resampled(_, height, width):
        return positions(p, c, height // c["patch_size"], width // c["patch_size"])[None]

    model.embeddings.interpolate_pos_encoding = resampled
    out = torch.func.functional_call(model, names, (images,), {"output_attentions": True})
    return out.last_hidden_state, out.attentions[-1]
