"""Small plain networks, written as people write them."""

import torch
import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    """Layers by name, and a function of the network and an image."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.call = forward
        for name, layer in layers.items():
            if isinstance(layer, nn.Module | nn.Parameter):
                setattr(self, name, layer)
            else:
                self.register_buffer(name, layer)

    def forward(self, x):
        return self.call(self, x)


class Block(nn.Module):
    """A residual block with in-place activations."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.act = nn.ReLU(inplace=True)
        self.short = nn.Identity()
        if stride > 1 or before != after:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return self.act(y + self.short(x))


class TinyResNet(nn.Module):
    """A residual network for small images, with a view in its head."""

    def __init__(self, classes=5, in_channels=3, wide=1):
        super().__init__()
        fine, coarse = 4 * wide, 8 * wide
        self.stem = nn.Sequential(nn.Conv2d(in_channels, fine, 3, 1, 1), nn.BatchNorm2d(fine), nn.ReLU(True))
        self.blocks = nn.Sequential(Block(fine, fine, 1), Block(fine, coarse, 2), Block(coarse, coarse, 2))
        self.pool, self.score = nn.AdaptiveAvgPool2d(1), nn.Linear(coarse, classes)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.score(x.view(x.size(0), -1))


class TinyDense(nn.Module):
    """Feature maps beside each other, a branch of half the channels, squeeze-and-excite, a gate of one channel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 5, padding=2)
        self.grow, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 8)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.depth = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.slope, self.gate = nn.PReLU(4), nn.Conv2d(8, 1, 1)
        self.mask = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = F.gelu(self.stem(x))
        x = self.norm(torch.cat([x, self.grow(x)], 1))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        left, right = x.chunk(2, 1)
        x = torch.cat([left, self.slope(self.depth(right))], 1)
        return self.mask(x * torch.sigmoid(self.gate(x)))


class TinyConvNeXt(nn.Module):
    """Patches, depthwise convolutions, layer norm and linear layers on channels last, a scale of each channel."""

    def __init__(self):
        super().__init__()
        self.patch, self.depth = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 7, padding=3, groups=6)
        self.norm, self.wide, self.narrow = nn.LayerNorm(6), nn.Linear(6, 12), nn.Linear(12, 6)
        self.gamma = nn.Parameter(torch.full((6,), 0.5))
        self.score = nn.Linear(6, 4)

    def forward(self, x):
        x = self.patch(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(F.gelu(self.wide(y)))
        x = x + y.permute(0, 3, 1, 2)
        return {"scores": self.score(x.mean((2, 3))), "features": x}
