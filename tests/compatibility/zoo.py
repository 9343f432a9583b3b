"""Networks of other packages, with random weights, by name: how to build each, and the shape of its images.

They import without torchvision: pytorchcv file by file, transformers from configurations.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

Shape = tuple[int, int, int]
Entry = tuple[Callable[[], nn.Module], Shape]


def _pcv(file: str, name: str, size: int, **options: Any) -> Entry:
    def build() -> nn.Module:
        return getattr(import_module(f"pytorchcv.models.{file}"), name)(**options)

    return build, (3, size, size)


def _monai(name: str, shape: Shape, **options: Any) -> Entry:
    def build() -> nn.Module:
        return getattr(import_module("monai.networks.nets"), name)(**options)

    return build, shape


def _transformers(name: str, size: int, head: str = "ForImageClassification", **options: Any) -> Entry:
    def build() -> nn.Module:
        library = import_module("transformers")
        return getattr(library, name + head)(getattr(library, name + "Config")(**options))

    return build, (3, size, size)


def _cellpose() -> nn.Module:
    return import_module("cellpose.resnet_torch").CPnet([2, 16, 32, 64], 3, 3)


def _stardist() -> nn.Module:
    facts = {
        "n_dim": 2, "axes": "YXC", "n_channel_in": 1, "n_channel_out": 33, "n_rays": 32, "grid": (2, 2),
        "backbone": "unet", "unet_n_depth": 3, "unet_kernel_size": (3, 3), "unet_n_filter_base": 8,
        "unet_n_conv_per_depth": 2, "unet_pool": (2, 2), "net_conv_after_unet": 32, "train_checkpoint": "",
        "unet_activation": "relu", "unet_last_activation": "relu", "unet_batch_norm": False, "unet_dropout": 0.0,
    }  # fmt: skip
    config = import_module("cistardist_pytorch.config").StarDist2DConfig.from_dict(facts)
    return import_module("cistardist_pytorch.net").StarDist2DNet(config)


_IMAGE = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
_UNET = {**_IMAGE, "channels": (8, 16, 32, 64), "strides": (2, 2, 2)}
_DYN = {**_IMAGE, "kernel_size": (3, 3, 3, 3), "strides": (1, 2, 2, 2), "upsample_kernel_size": (2, 2, 2)}

ZOO: dict[str, Entry] = {
    "pytorchcv resnet20_cifar10": _pcv("resnet_cifar", "resnet20_cifar10", 32, num_classes=10),
    "pytorchcv preresnet20_cifar10": _pcv("preresnet_cifar", "preresnet20_cifar10", 32, num_classes=10),
    "pytorchcv seresnet20_cifar10": _pcv("seresnet_cifar", "seresnet20_cifar10", 32, num_classes=10),
    "pytorchcv densenet40_k12_cifar10": _pcv("densenet_cifar", "densenet40_k12_cifar10", 32, num_classes=10),
    "pytorchcv resnet18": _pcv("resnet", "resnet18", 224),
    "pytorchcv resnet10": _pcv("resnet", "resnet10", 224),
    "pytorchcv vgg11": _pcv("vgg", "vgg11", 224),
    "pytorchcv mobilenetv2_wd4": _pcv("mobilenetv2", "mobilenetv2_wd4", 224),
    "pytorchcv efficientnet_b0": _pcv("efficientnet", "efficientnet_b0", 224),
    "pytorchcv shufflenetv2_wd2": _pcv("shufflenetv2", "shufflenetv2_wd2", 224),
    "pytorchcv mobilenet_wd4": _pcv("mobilenet", "mobilenet_wd4", 224),
    "pytorchcv mobilenetv3_small_wd2": _pcv("mobilenetv3", "mobilenetv3_small_w7d20", 224),
    "pytorchcv squeezenet_v1_1": _pcv("squeezenet", "squeezenet_v1_1", 224),
    "pytorchcv squeezeresnet_v1_1": _pcv("squeezenet", "squeezeresnet_v1_1", 224),
    "pytorchcv ghostnet": _pcv("ghostnet", "ghostnet", 224),
    "pytorchcv regnetx002": _pcv("regnet", "regnetx002", 224),
    "pytorchcv regnety002": _pcv("regnet", "regnety002", 224),
    "pytorchcv mnasnet_small": _pcv("mnasnet", "mnasnet_small", 224),
    "pytorchcv bagnet9": _pcv("bagnet", "bagnet9", 224),
    "pytorchcv fdmobilenet_wd4": _pcv("fdmobilenet", "fdmobilenet_wd4", 224),
    "pytorchcv hardnet39ds": _pcv("hardnet", "hardnet39ds", 224),
    "pytorchcv nin_cifar10": _pcv("nin_cifar", "nin_cifar10", 32, num_classes=10),
    "pytorchcv resnext29_32x4d_cifar10": _pcv("resnext_cifar", "resnext29_32x4d_cifar10", 32, num_classes=10),
    "pytorchcv pyramidnet110_a48_cifar10": _pcv("pyramidnet_cifar", "pyramidnet110_a48_cifar10", 32, num_classes=10),
    "pytorchcv diracnet18v2": _pcv("diracnetv2", "diracnet18v2", 224),
    "pytorchcv darknet_tiny": _pcv("darknet", "darknet_tiny", 224),
    "monai BasicUNet": _monai("BasicUNet", (1, 64, 64), **_IMAGE, features=(8, 8, 16, 32, 64, 8)),
    "monai UNet": _monai("UNet", (1, 64, 64), **_UNET, num_res_units=2),
    "monai AttentionUnet": _monai("AttentionUnet", (1, 64, 64), **_UNET),
    "monai DynUNet": _monai("DynUNet", (1, 64, 64), **_DYN, filters=(8, 16, 32, 64), res_block=False),
    "monai SegResNet": _monai("SegResNet", (1, 64, 64), **_IMAGE, init_filters=8),
    "monai DenseNet121": _monai("DenseNet121", (1, 64, 64), **_IMAGE),
    "monai EfficientNetBN": _monai("EfficientNetBN", (3, 64, 64), model_name="efficientnet-b0", spatial_dims=2,
                                   pretrained=False, num_classes=10),
    "monai UNETR": _monai("UNETR", (1, 64, 64), **_IMAGE, img_size=(64, 64), feature_size=8, hidden_size=96,
                          mlp_dim=128, num_heads=4),
    "monai SwinUNETR": _monai("SwinUNETR", (1, 64, 64), **_IMAGE, feature_size=12),
    "transformers ResNet": _transformers("ResNet", 64, embedding_size=16, hidden_sizes=[32, 64], depths=[2, 2]),
    "transformers RegNet": _transformers("RegNet", 64, embedding_size=16, hidden_sizes=[32, 64], depths=[1, 2],
                                         groups_width=16),
    "transformers ConvNext": _transformers("ConvNext", 64, hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 2, 1]),
    "transformers ConvNextV2": _transformers("ConvNextV2", 64, hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 2, 1]),
    "transformers MobileNetV2": _transformers("MobileNetV2", 64, depth_multiplier=0.35),
    "transformers MobileNetV1": _transformers("MobileNetV1", 64, depth_multiplier=0.25),
    "transformers EfficientNet": _transformers("EfficientNet", 64, width_coefficient=0.25, depth_coefficient=0.25,
                                               hidden_dim=320, image_size=64),
    "transformers Segformer": _transformers("Segformer", 64, "ForSemanticSegmentation", hidden_sizes=[16, 32, 32, 64],
                                            depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4],
                                            decoder_hidden_size=32),
    "transformers PoolFormer": _transformers("PoolFormer", 64, hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1]),
    "transformers ViT": _transformers("ViT", 64, image_size=64, patch_size=8, hidden_size=32, num_hidden_layers=2,
                                      num_attention_heads=2, intermediate_size=64),
    "transformers Swin": _transformers("Swin", 64, image_size=64, patch_size=2, embed_dim=24, depths=[2, 2],
                                       num_heads=[2, 4], window_size=4),
    "cellpose CPnet": (_cellpose, (2, 64, 64)),
    "cistardist StarDist2DNet": (_stardist, (1, 64, 64)),
}  # fmt: skip
"""Every network by package and name."""


def images(shape: Shape, batch: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random images, the same ones for the same shape."""
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
